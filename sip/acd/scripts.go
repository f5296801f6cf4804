package acd

import "github.com/redis/go-redis/v9"

// prelude holds the few functions every script shares. ARGV[1] is now in
// milliseconds. Keys, all under the cluster tag {acd} so that one script may
// touch them all:
//
//	agents        set of agent ids
//	agent:<id>    hash: state, reason, since, idle, deadline, call, phone, ext, name, ver
//	calls         set of call ids
//	call:<id>     hash: state, caller (masked), original, since, agent, node, ver
//	wait          sorted set: waiting call id by its enqueue time
//	dl            sorted set: agent id by the deadline of its state
//	nodes         sorted set: node by its last heartbeat
//	offers:<node> list of offers for the node's calls
//	wake          channel: something changed
const prelude = `
local T, now = '{acd}:', tonumber(ARGV[1])
local function A(id) return T..'agent:'..id end
local function C(id) return T..'call:'..id end
local function get(k, f) return redis.call('HGET', k, f) or '' end
local function wake() redis.call('PUBLISH', T..'wake', '1') end
local function agent(id, state, reason, call, deadline)
  local k = A(id)
  redis.call('SADD', T..'agents', id)
  redis.call('HSET', k, 'state', state, 'reason', reason, 'since', now, 'call', call, 'deadline', deadline)
  redis.call('HINCRBY', k, 'ver', 1)
  if deadline > 0 then redis.call('ZADD', T..'dl', deadline, id) else redis.call('ZREM', T..'dl', id) end
end
local function rest(id)
  redis.call('HSET', A(id), 'idle', now)
  if get(A(id), 'phone') == '1' then agent(id, 'ready', '', '', 0) else agent(id, 'not_ready', 'phone_lost', '', 0) end
end
local function again(id)
  if get(A(id), 'phone') == '1' then agent(id, 'ready', '', '', 0) else agent(id, 'not_ready', 'phone_lost', '', 0) end
end
local function call(id, state, who)
  redis.call('HSET', C(id), 'state', state, 'agent', who)
  redis.call('HINCRBY', C(id), 'ver', 1)
  if state == 'waiting' then redis.call('ZADD', T..'wait', get(C(id), 'since'), id) else redis.call('ZREM', T..'wait', id) end
end
local function drop(id)
  redis.call('DEL', C(id))
  redis.call('SREM', T..'calls', id)
  redis.call('ZREM', T..'wait', id)
end
local function release(id, wrap)
  local who = get(C(id), 'agent')
  drop(id)
  if who == '' or who == '0' or get(A(who), 'call') ~= id then return end
  local s = get(A(who), 'state')
  if s == 'talking' and wrap > 0 then agent(who, 'wrap_up', '', '', now + wrap)
  elseif s == 'talking' then rest(who)
  elseif s == 'reserved' or s == 'ringing' then again(who) end
end
`

func script(body string) *redis.Script { return redis.NewScript(prelude + body) }

// The transitions. Each answers 1 when it was done, 0 when its condition did
// not hold.
var (
	// ARGV: agent, name, extension
	knowScript = script(`
if redis.call('EXISTS', A(ARGV[2])) == 0 then agent(ARGV[2], 'signed_out', '', '', 0) end
redis.call('HSET', A(ARGV[2]), 'name', ARGV[3], 'ext', ARGV[4])
wake() return 1`)

	// ARGV: agent, name, extension
	signInScript = script(`
local s = get(A(ARGV[2]), 'state')
if s == '' or s == 'signed_out' then agent(ARGV[2], 'not_ready', 'signed_in', '', 0) end
redis.call('HSET', A(ARGV[2]), 'name', ARGV[3], 'ext', ARGV[4])
wake() return 1`)

	// ARGV: agent
	signOutScript = script(`
local s = get(A(ARGV[2]), 'state')
if s == 'reserved' or s == 'ringing' or s == 'talking' then return 0 end
if s ~= 'signed_out' then agent(ARGV[2], 'signed_out', '', '', 0) wake() end
return 1`)

	// ARGV: agent, state, reason, version
	setStateScript = script(`
local k = A(ARGV[2])
local s = get(k, 'state')
if s ~= 'ready' and s ~= 'not_ready' and s ~= 'on_break' and s ~= 'wrap_up' then return 0 end
if ARGV[5] ~= '0' and get(k, 'ver') ~= ARGV[5] then return 0 end
if ARGV[3] == 'ready' then
  if get(k, 'phone') ~= '1' then return 0 end
  redis.call('HSET', k, 'idle', now)
end
agent(ARGV[2], ARGV[3], ARGV[4], '', 0)
wake() return 1`)

	// ARGV: agent, extension, ready
	phoneUpScript = script(`
local k = A(ARGV[2])
local s, had = get(k, 'state'), get(k, 'phone')
if s == '' then agent(ARGV[2], 'signed_out', '', '', 0) s = 'signed_out' end
redis.call('HSET', k, 'phone', '1', 'ext', ARGV[3])
if ARGV[4] == '1' and s == 'signed_out' then rest(ARGV[2]) wake()
elseif s == 'not_ready' and get(k, 'reason') == 'phone_lost' then rest(ARGV[2]) wake()
elseif had ~= '1' then redis.call('HINCRBY', k, 'ver', 1) wake() end
return 1`)

	// ARGV: agent
	phoneDownScript = script(`
local k = A(ARGV[2])
if get(k, 'phone') ~= '1' then return 1 end
redis.call('HSET', k, 'phone', '0')
if get(k, 'state') == 'ready' then agent(ARGV[2], 'not_ready', 'phone_lost', '', 0)
else redis.call('HINCRBY', k, 'ver', 1) end
wake() return 1`)

	// ARGV: call, caller, original, since, state, agent, node
	enqueueScript = script(`
local k, state, who, did = C(ARGV[2]), ARGV[6], ARGV[7], false
if redis.call('EXISTS', k) == 0 then
  redis.call('SADD', T..'calls', ARGV[2])
  redis.call('HSET', k, 'caller', ARGV[3], 'original', ARGV[4], 'since', ARGV[5], 'node', ARGV[8], 'ver', 0)
  call(ARGV[2], state, who)
  did = true
elseif state == 'talking' and get(k, 'state') ~= 'talking' then
  call(ARGV[2], state, who)
  did = true
end
-- The call's actor knows best who talks: an agent put back from memory may
-- still be ringing for this call, or have rung out.
local had = get(A(who), 'call')
if state == 'talking' and redis.call('EXISTS', A(who)) == 1 and get(A(who), 'state') ~= 'talking' and (had == '' or had == ARGV[2]) then
  agent(who, 'talking', '', ARGV[2], 0)
  did = true
end
if did then wake() end
return 1`)

	// ARGV: call, agent, call version, agent version, reserve deadline, offer
	offerScript = script(`
local c, a = C(ARGV[2]), A(ARGV[3])
if get(c, 'ver') ~= ARGV[4] or get(a, 'ver') ~= ARGV[5] then return 0 end
if get(c, 'state') ~= 'waiting' or get(a, 'state') ~= 'ready' or get(a, 'phone') ~= '1' then return 0 end
call(ARGV[2], 'offered', ARGV[3])
agent(ARGV[3], 'reserved', '', ARGV[2], tonumber(ARGV[6]))
redis.call('RPUSH', T..'offers:'..get(c, 'node'), ARGV[7])
wake() return 1`)

	// ARGV: call, agent, milliseconds
	ringingScript = script(`
if get(A(ARGV[3]), 'call') ~= ARGV[2] or get(A(ARGV[3]), 'state') ~= 'reserved' then return 0 end
agent(ARGV[3], 'ringing', '', ARGV[2], now + tonumber(ARGV[4]))
wake() return 1`)

	// ARGV: call, agent
	answeredScript = script(`
local s = get(A(ARGV[3]), 'state')
if get(A(ARGV[3]), 'call') ~= ARGV[2] or (s ~= 'reserved' and s ~= 'ringing') then return 0 end
if get(C(ARGV[2]), 'agent') ~= ARGV[3] then return 0 end
call(ARGV[2], 'talking', ARGV[3])
agent(ARGV[3], 'talking', '', ARGV[2], 0)
wake() return 1`)

	// ARGV: call, agent, state, reason, rest in milliseconds
	refusedScript = script(`
local s = get(A(ARGV[3]), 'state')
if get(C(ARGV[2]), 'agent') == ARGV[3] and get(C(ARGV[2]), 'state') == 'offered' then call(ARGV[2], 'waiting', '0') end
if get(A(ARGV[3]), 'call') ~= ARGV[2] or (s ~= 'reserved' and s ~= 'ringing') then wake() return 0 end
if ARGV[4] == 'ready' then again(ARGV[3])
else agent(ARGV[3], ARGV[4], ARGV[5], '', ARGV[6] ~= '0' and now + tonumber(ARGV[6]) or 0) end
wake() return 1`)

	// ARGV: call, wrap-up in milliseconds
	endedScript = script(`
release(ARGV[2], tonumber(ARGV[3]))
wake() return 1`)

	// ARGV: id, then the hash's members and values. Puts an agent back into an
	// emptied Redis, unless somebody did so before.
	restoreScript = script(`
local k = A(ARGV[2])
if redis.call('EXISTS', k) == 1 then return 0 end
for i = 3, #ARGV, 2 do redis.call('HSET', k, ARGV[i], ARGV[i+1]) end
redis.call('SADD', T..'agents', ARGV[2])
local d = tonumber(get(k, 'deadline'))
if d and d > 0 then redis.call('ZADD', T..'dl', d, ARGV[2]) end
wake() return 1`)

	// ARGV: node, node timeout, wrap-up, orphan age. Beats this node's heart,
	// ends the states whose deadline passed and lets go what belongs to nobody.
	sweepScript = script(`
local timeout, wrap, orphan, did = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), 0
redis.call('ZADD', T..'nodes', now, ARGV[2])
for _, id in ipairs(redis.call('ZRANGEBYSCORE', T..'dl', '-inf', now)) do
  local s, c = get(A(id), 'state'), get(A(id), 'call')
  if s == 'reserved' or s == 'ringing' then
    if get(C(c), 'agent') == id and get(C(c), 'state') == 'offered' then call(c, 'waiting', '0') end
    if s == 'ringing' then agent(id, 'not_ready', 'rona', '', 0) else again(id) end
  elseif s == 'wrap_up' or s == 'not_ready' then rest(id)
  else redis.call('ZREM', T..'dl', id) end
  did = 1
end
for _, n in ipairs(redis.call('ZRANGEBYSCORE', T..'nodes', '-inf', now - timeout)) do
  redis.call('ZREM', T..'nodes', n)
  redis.call('DEL', T..'offers:'..n)
end
for _, id in ipairs(redis.call('SMEMBERS', T..'calls')) do
  if not redis.call('ZSCORE', T..'nodes', get(C(id), 'node')) then release(id, wrap) did = 1 end
end
for _, id in ipairs(redis.call('SMEMBERS', T..'agents')) do
  local c = get(A(id), 'call')
  if c ~= '' and redis.call('EXISTS', C(c)) == 0 and now - tonumber(get(A(id), 'since')) > orphan then
    if get(A(id), 'state') == 'talking' and wrap > 0 then agent(id, 'wrap_up', '', '', now + wrap) else rest(id) end
    did = 1
  end
end
if did == 1 then wake() end
return did`)

	// Answers the agents, each as {id, {member, value, …}}, then the calls in
	// the same form.
	snapshotScript = script(`
local out = {{}, {}}
for _, id in ipairs(redis.call('SMEMBERS', T..'agents')) do table.insert(out[1], {id, redis.call('HGETALL', A(id))}) end
for _, id in ipairs(redis.call('SMEMBERS', T..'calls')) do table.insert(out[2], {id, redis.call('HGETALL', C(id))}) end
return out`)
)
