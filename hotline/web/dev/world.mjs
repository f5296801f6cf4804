// The mock's little city: enough of everything to look at every page.
const MIN = 60_000, HOUR = 60 * MIN, DAY = 24 * HOUR
const ago = (ms) => new Date(Date.now() - ms).toISOString()
const zero = null

const units = [
  ['RXZX', '', 'center', '市政务热线中心', '热线中心'], ['JYTYJ', 'RXZX', 'department', '市教育体育局', '市教体局'],
  ['CGJ', 'RXZX', 'department', '市城市管理局', '市城管局'], ['RSJ', 'RXZX', 'department', '市人力资源和社会保障局', '市人社局'],
  ['ZJJ', 'RXZX', 'department', '市住房和城乡建设局', '市住建局'], ['SSJT', 'RXZX', 'enterprise', '水务集团', '水务集团'],
  ['341802', 'RXZX', 'county', '宣州区人民政府', '宣州区', '341802'], ['341881', 'RXZX', 'county', '宁国市人民政府', '宁国市', '341881'],
  ['341802001', '341802', 'township', '西林街道办事处', '西林街道', '341802001'], ['341802002', '341802', 'township', '澄江街道办事处', '澄江街道', '341802002'],
].map(([code, parent, kind, name, short, area_code]) => ({ code, parent, kind, name, short, area_code, aliases: code === 'CGJ' ? ['城管', '综合执法'] : undefined }))
const areas = [
  ['341802', '', '宣州区', 'xzq'], ['341802001', '341802', '西林街道', 'xljd'], ['341802001001', '341802001', '西林社区', 'xlsq'], ['341802001002', '341802001', '状元社区', 'zysq'],
  ['341802002', '341802', '澄江街道', 'cjjd'], ['341802002001', '341802002', '叠嶂社区', 'dzsq'], ['341881', '', '宁国市', 'ngs'], ['341881001', '341881', '西津街道', 'xjjd'],
].map(([code, parent, name, pinyin]) => ({ code, parent, name, pinyin }))
const categories = [
  ['01', '', '城乡建设', 'cxjs'], ['0102', '01', '物业服务', 'wyfw'], ['010201', '0102', '物业收费', 'wysf'], ['010202', '0102', '维修资金', 'wxzj'], ['0104', '01', '市政设施', 'szss'], ['010401', '0104', '路灯', 'ld'], ['010402', '0104', '井盖缺失', 'jgqs'],
  ['02', '', '城市管理', 'csgl'], ['0203', '02', '油烟与噪声扰民', 'yyyzsrm'], ['020301', '0203', '餐饮油烟', 'cyyy'], ['020302', '0203', '社会生活噪声', 'shshzs'],
  ['05', '', '人力资源社会保障', 'rlzyshbz'], ['0501', '05', '拖欠工资', 'tqgz'], ['050101', '0501', '建筑业欠薪', 'jzyqx'], ['13', '', '公用事业', 'ggsy'], ['1301', '13', '供水', 'gs'], ['130101', '1301', '停水', 'ts'],
].map(([code, parent, name, pinyin]) => ({ code, parent, name, pinyin, urgency: code === '010402' ? 2 : 1 }))
const sources = [['01', '12345电话', 'phone'], ['02', '归并热线', 'phone'], ['11', '政府网站', 'web'], ['17', '政务微信', 'social']].map(([code, name, kind]) => ({ code, name, kind, reply_to: '诉求人' }))
const lines = [{ number: '12345', name: '12345热线', source: '01' }, { number: '12319', name: '城建服务热线', source: '02' }]

const deadline = (kind, amount, unit, dueIn, warnIn, extra = {}) => ({ kind, policy: kind, amount, unit, calendar_version: 1, started_at: ago(DAY), due_at: ago(-dueIn), warn_at: ago(-warnIn), provisional: false, stopped_at: zero, outcome: '', ...extra })
const subjects = [
  ['鳌峰东路一烧烤店夜间油烟扰民', '11月22日晚22时起，鳌峰东路88号一烧烤店油烟直排，居民无法开窗。诉求人多次与店主沟通无果，希望责令其安装油烟净化设备。', '020301', '341802001002', 'complaint'],
  ['叠嶂路人行道井盖缺失', '叠嶂路与昭亭路交叉口北侧人行道一处雨水井盖缺失，夜间行人易踩空，希望尽快补装。', '010402', '341802002001', 'help'],
  ['某工地拖欠三个月工资', '诉求人等12人在宣州区某住宅项目务工，自8月起未领到工资，共计约26万元，希望有关部门协调支付。', '050101', '341802', 'complaint'],
  ['咨询物业费收取标准', '诉求人咨询前期物业服务收费政府指导价标准及公示要求。', '010201', '341802001001', 'consult'],
  ['小区连续两日停水', '状元社区某小区自11月21日起停水，未见通知，老人较多生活不便，希望尽快恢复并告知原因。', '130101', '341802001002', 'help'],
  ['路灯不亮影响出行', '西津街道一条背街小巷路灯已有一周不亮。', '010401', '341881001', 'help'],
]
function check(id) {
  let p = 10
  for (const ch of id) { let s = (p + Number(ch)) % 10; if (s === 0) s = 10; p = (s * 2) % 11 }
  return String((11 - p) % 10)
}

export function makeWorld() {
  const accounts = {}
  const account = (id, login, name, unit_code, roles, extension) => (accounts[login] = { id: String(id), login, name, unit_code, roles, extension })
  account(11, 'agent', '陈晓雯', 'RXZX', ['agent'], '1001')
  account(12, 'dispatcher', '周立', 'RXZX', ['dispatcher'])
  account(13, 'callback', '吴敏', 'RXZX', ['callback'])
  account(14, 'unit', '胡建国', 'CGJ', ['unit'])
  account(15, 'leader', '刘主任', 'RXZX', ['leader'])
  account(16, 'admin', '管理员', 'RXZX', ['admin', 'agent', 'dispatcher', 'callback'], '1009')

  let n = 0
  const orders = [], timelines = {}, drafts = []
  const event = (o, kind, data = {}, actor = '0', actor_name = '', unit_code = '', at = new Date().toISOString()) => {
    const list = (timelines[o.id] ??= [])
    list.push({ order_id: o.id, seq: list.length + 1, kind, at, actor, actor_name, unit_code, audience: kind === 'replied' ? 'citizen' : 'units', data })
    o.version = list.length
  }
  function make(i, state, age, lead, extra = {}) {
    const [title, content, category_code, area_code, demand_type] = subjects[i % subjects.length]
    const id = `202611230000${String(++n).padStart(3, '0')}`
    const o = {
      id, number: id + check(id), version: 1, state, demand_type, source: i % 4 === 3 ? '11' : '01', category_code, area_code, address: '鳌峰东路88号', title, content, urgency: i % 6 === 1 ? 2 : 1, confidentiality: i % 6 === 2 ? 'hidden' : 'open',
      person_id: '501', caller_last4: '5678', call_id: 'c1', agent_id: '11', assignments: [], deadlines: [], answer: '', satisfaction: 0, callback_tries: 0, accepted_at: ago(age), replied_at: zero, closed_at: zero, ...extra,
    }
    orders.unshift(o)
    event(o, 'submitted', { ...o, clocks_started: [deadline('dispatch', 1, 'hour', HOUR, HOUR / 2)] }, '11', '陈晓雯', 'RXZX', ago(age))
    if (lead) {
      const reason = { kind: 'rule', rule: '0203-市区', catalogue_version: 3, text: '城市管理/油烟与噪声扰民，市区范围由市城市管理局主办' }
      o.assignments = [{ id: '1', unit_code: lead, role: 'lead', reason, sent_at: ago(age - MIN), signed_at: zero, ended_at: zero }, { id: '2', unit_code: '341802', role: 'co', reason, sent_at: ago(age - MIN), signed_at: zero, ended_at: zero }]
      o.deadlines = [deadline('resolve', 5, 'workday', [28, 3, -3, 90, 300][i % 5] * HOUR, 20 * HOUR, { provisional: i % 5 === 4 })]
      event(o, 'dispatched', { assignments: o.assignments, clocks_started: o.deadlines, clocks_stopped: [{ kind: 'dispatch', at: ago(age - MIN), outcome: 'met' }] }, '0', '', '', ago(age - MIN))
    }
    if (['signed', 'pending_callback', 'closed'].includes(state)) { o.assignments[0].signed_at = ago(age - HOUR); event(o, 'signed', { unit_code: lead, role: 'lead' }, '14', '胡建国', lead, ago(age - HOUR)) }
    if (['pending_callback', 'closed'].includes(state)) {
      o.answer = '经查，该店确未按规定使用油烟净化设施。我局已责令其三日内整改，并于 11 月 23 日复查，设备已安装并正常运行。'
      o.replied_at = ago(2 * HOUR); o.solved = 'yes'
      o.deadlines = [{ ...o.deadlines[0], stopped_at: ago(2 * HOUR), outcome: 'met' }, ...(state === 'closed' ? [] : [deadline('callback', 2, 'workday', 30 * HOUR, 10 * HOUR)])]
      event(o, 'replied', { unit_code: lead, text: o.answer, solved: 'yes', contacted_at: ago(3 * HOUR), clocks_stopped: [{ kind: 'resolve', at: ago(2 * HOUR), outcome: 'met' }] }, '14', '胡建国', lead, ago(2 * HOUR))
    }
    if (state === 'closed') { o.satisfaction = 1; o.outcome = 'satisfied'; o.closed_at = ago(HOUR); event(o, 'callback_done', { satisfaction: 1, solved: 'yes', note: '对处理结果表示感谢' }, '13', '吴敏', 'RXZX', ago(HOUR)); event(o, 'closed', { outcome: 'satisfied' }, '13', '吴敏', 'RXZX', ago(HOUR)) }
    if (state === 'pending_dispatch') { o.deadlines = [deadline('dispatch', 1, 'hour', 35 * MIN, 20 * MIN)]; event(o, 'unmatched', { reason: { kind: '', catalogue_version: 3, text: '派单目录中“公用事业/供水”在该区域无对应单位' } }) }
    return o
  }
  for (let i = 0; i < 6; i++) make(i, 'dispatched', (i + 1) * 20 * MIN, 'CGJ')
  for (let i = 0; i < 9; i++) make(i + 2, 'signed', (i + 5) * HOUR, 'CGJ')
  for (let i = 0; i < 4; i++) make(i, 'pending_callback', (i + 20) * HOUR, 'CGJ')
  for (let i = 0; i < 5; i++) make(i, 'closed', (i + 40) * HOUR, 'CGJ')
  for (let i = 3; i < 6; i++) make(i, 'pending_dispatch', i * 10 * MIN, '')

  const calls = Array.from({ length: 30 }, (_, i) => ({
    id: `c${i}`, caller: `138****${String(1000 + i * 37)}`, person_id: '501', original_number: i % 5 ? '12345' : '12319', line: i % 5 ? '12345热线' : '城建服务热线', source: i % 5 ? '01' : '02', trunk: 't1',
    arrived_at: ago(i * 11 * MIN), queued_at: ago(i * 11 * MIN - 8000), offered_at: ago(i * 11 * MIN - 12_000), answered_at: i % 6 === 5 ? zero : ago(i * 11 * MIN - 19_000), ended_at: ago(i * 11 * MIN - 190_000), agent_id: '11', extension: i % 6 === 5 ? '' : '1001',
    ended_by: i % 3 ? 'caller' : 'agent', end_reason: i % 6 === 5 ? 'abandoned' : 'normal', has_recording: i % 6 !== 5, recording_ms: 171_000,
  }))
  const names = ['陈晓雯', '王芳', '李静', '赵敏', '孙悦', '钱多']
  const states = ['ready', 'talking', 'wrap_up', 'ready', 'on_break', 'not_ready']
  const agents = names.map((name, i) => ({ id: String(11 + i * 100), name, extension: String(1001 + i), state: states[i], reason: i === 4 ? '用餐' : '', since: ago(i * 70_000 + 40_000), deadline: i === 2 ? ago(-20_000) : null, phone_registered: true, version: 1 }))
  let waiting = [{ id: 'w1', caller: '139****2201', original_number: '12345', since: ago(42_000), state: 'waiting', agent_id: '0', node: 'n' }, { id: 'w2', caller: '0563****886', original_number: '12319', since: ago(9000), state: 'waiting', agent_id: '0', node: 'n' }]
  const mine = agents[0]
  let ring = null

  const world = {
    pos: 100, accounts,
    floor: () => ({ at: new Date().toISOString(), waiting, agents }),
    act(what, q, publish) {
      if (what === 'ring') {
        ring = { ...calls[0], id: 'live1', caller: '138****5678', arrived_at: ago(9000), queued_at: ago(6000), offered_at: ago(0), answered_at: zero, ended_at: zero, end_reason: '', has_recording: false }
        calls.unshift(ring)
        Object.assign(mine, { state: 'ringing', since: ago(0), call_id: 'live1' })
        publish('call.offered', ['calls', 'agent:11'], { call: ring })
      } else if (what === 'answer') {
        ring.answered_at = ago(0); Object.assign(mine, { state: 'talking', since: ago(0) })
        publish('call.answered', ['calls', 'agent:11'], { call: ring })
      } else if (what === 'end') {
        ring.ended_at = ago(0); ring.end_reason = 'normal'; Object.assign(mine, { state: 'wrap_up', since: ago(0), deadline: ago(-30_000) })
        publish('call.ended', ['calls', 'agent:11'], { call: ring })
      } else if (what === 'order') {
        const o = make(Number(q.get('i') ?? 0), 'dispatched', 1000, 'CGJ')
        publish('order.dispatched', [`order:${o.id}`, 'unit:CGJ', 'orders'], { order: o, event: timelines[o.id].at(-1) })
      }
    },
    api(method, path, q, body, me, publish) {
      const p = path.split('/').filter(Boolean)
      const o = p[0] === 'orders' && p[1] ? orders.find((x) => x.id === p[1]) : null
      const tell = (kind, data, topics = []) => { event(o, kind, data, me.id, me.name, me.unit_code); publish(`order.${kind}`, [`order:${o.id}`, 'orders', 'desk:callback', 'desk:dispatch', ...o.assignments.map((a) => `unit:${a.unit_code}`), ...topics], { order: o, event: timelines[o.id].at(-1) }) }
      const stale = () => o && body.version !== undefined && body.version !== o.version ? { status: 409, body: { status: 409, code: 'conflict', detail: '工单已被他人更新', current: o, since: timelines[o.id].slice(body.version) } } : null
      if (path === '/me') return { body: { principal: me, seat: me.extension ? { extension: me.extension } : null, server_time: new Date().toISOString(), ws_pos: world.pos } }
      if (path === '/directory') return { body: { version: 3, units, areas, categories, sources, lines } }
      if (path === '/floor') return { body: { ...world.floor(), today: { offered: 186, answered: 179, abandoned: 5 } } }
      if (p[0] === 'floor') {
        const to = p[1] === 'signout' ? 'signed_out' : p[1] === 'signin' ? 'not_ready' : body.state
        Object.assign(mine, { state: to, reason: body.reason ?? '', since: ago(0), deadline: null })
        return { body: {} }
      }
      if (path === '/drafts') return { body: { drafts } }
      if (p[0] === 'drafts') {
        const i = drafts.findIndex((d) => d.id === p[1])
        if (i >= 0) drafts.splice(i, 1)
        if (method === 'DELETE') return { status: 204 }
        drafts.push({ ...body, updated_at: new Date().toISOString() })
        return { body: drafts.at(-1) }
      }
      if (path === '/plan') {
        const gs = q.get('category')?.startsWith('13')
        return { body: gs ? { lead: '', co_units: [], reason: { kind: '', catalogue_version: 3, text: '派单目录中“公用事业/供水”在该区域无对应单位' } } : { lead: 'CGJ', co_units: ['341802'], reason: { kind: 'rule', rule: '0203-市区', catalogue_version: 3, text: '城市管理/油烟与噪声扰民，市区范围由市城市管理局主办' } } }
      }
      if (path === '/deadline-preview') return { body: { deadlines: [deadline('sign', 4, 'hour', 4 * HOUR, 3 * HOUR), deadline('resolve', 5, 'workday', 7 * DAY, 6 * DAY, { provisional: true })] } }
      if (path === '/orders' && method === 'POST') {
        if (body.title.includes('测试')) return { status: 422, body: { status: 422, code: 'invalid', detail: '填写有误', errors: [{ field: 'body.title', message: '标题须写明何地何事' }] } }
        const di = drafts.findIndex((d) => d.id === body.draft_id)
        if (di >= 0) drafts.splice(di, 1)
        const x = make(0, body.direct_answer ? 'direct_closed' : 'dispatched', 0, body.direct_answer ? '' : 'CGJ', body)
        publish('order.dispatched', ['unit:CGJ', 'orders', `agent:${me.id}`], { order: x, event: timelines[x.id].at(-1) })
        return { status: 201, body: x }
      }
      if (path === '/orders') {
        let list = orders.filter((x) => (!q.get('state') || q.get('state').split(',').includes(x.state)) && (!q.get('category') || x.category_code.startsWith(q.get('category'))) && (!q.get('type') || x.demand_type === q.get('type')))
        const total = list.length, at = Number(q.get('cursor') || 0), limit = Number(q.get('limit') || 50)
        list = list.slice(at, at + limit)
        return { body: { orders: list, next: at + limit < total ? String(at + limit) : '', total } }
      }
      if (o && p.length === 2) return { body: { ...o, caller: { person_id: '501', name_masked: '张**', phone_masked: '138****5678' } } }
      if (o && p[2] === 'timeline') return { body: { events: timelines[o.id] } }
      if (o && p[2] === 'reveal') return { body: { name: '张先生', phone: '+8613812345678' } }
      if (o) {
        const late = stale()
        if (late) return late
        if (p[2] === 'sign') { o.state = 'signed'; o.assignments[0].signed_at = ago(0); tell('signed', { unit_code: me.unit_code, role: 'lead' }) }
        if (p[2] === 'reply') { o.state = 'pending_callback'; o.answer = body.text; o.solved = body.solved; o.replied_at = ago(0); tell('replied', { unit_code: me.unit_code, text: body.text, solved: body.solved }) }
        if (p[2] === 'dispatch') { o.state = 'dispatched'; o.assignments = [{ id: '9', unit_code: body.lead, role: 'lead', reason: { kind: 'manual', catalogue_version: 3, text: body.reason }, sent_at: ago(0), signed_at: zero, ended_at: zero }]; tell('dispatched', { assignments: o.assignments }) }
        if (p[2] === 'callback') {
          if (body.reached) { o.state = 'closed'; o.satisfaction = body.satisfaction; o.outcome = 'satisfied'; o.closed_at = ago(0); tell('callback_done', body); tell('closed', { outcome: 'satisfied' }) }
          else { o.callback_tries++; tell('callback_failed', { try: o.callback_tries, note: body.note }) }
        }
        return { body: o }
      }
      if (path === '/calls') return { body: { calls, next: '', total: calls.length } }
      const call = p[0] === 'calls' ? calls.find((c) => c.id === p[1]) : null
      if (call && p[2] === 'card') return { body: { call, person: { person_id: '501', name_masked: '张**', phone_masked: '138****5678' }, orders: orders.filter((_, i) => i % 4 === 0).slice(0, 5) } }
      if (call) return { body: call }
      if (path === '/reports') return { body: { reports: [{ id: '1', kind: 'daily', date: '2026-11-22', title: '宣城市12345政务服务便民热线每日汇总', number: '〔2026〕第 326 期', final: true, made_at: ago(3 * HOUR) }] } }
      if (path === '/reports/daily') return { body: { id: '1', kind: 'daily', date: body.date } }
      if (p[0] === 'reports' && p[2] === 'html') return { html: '<!doctype html><meta charset="utf-8"><style>body{font:16px/1.8 sans-serif;max-width:800px;margin:24px auto}</style><h1>12345 热线每日汇总</h1><p>受理 <a href="/orders?accepted_from=2026-11-22T00:00:00%2B08:00&amp;accepted_to=2026-11-23T00:00:00%2B08:00">24</a> 件。</p><script>document.body.append("SCRIPT RAN")</script>' }
      return { status: 404, body: { status: 404, detail: '没有找到' } }
    },
  }
  return world
}
