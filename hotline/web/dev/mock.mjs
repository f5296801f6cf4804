// A small stand-in for the program, for working on the pages without it:
// `npm run mock` serves dist, /api/v1 and /ws on a free port or PORT. It knows
// no rules; the real ones are in Go. It is not part of the build.
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { makeWorld } from './world.mjs'

const dist = join(fileURLToPath(new URL('.', import.meta.url)), '..', 'dist')
const world = makeWorld()
const sockets = new Set()
const types = { '.js': 'text/javascript', '.css': 'text/css', '.html': 'text/html', '.svg': 'image/svg+xml' }

function frame(text) {
  const body = Buffer.from(text)
  const n = body.length
  const head = n < 126 ? Buffer.from([0x81, n]) : n < 65536 ? Buffer.from([0x81, 126, n >> 8, n & 255]) : Buffer.concat([Buffer.from([0x81, 127, 0, 0, 0, 0]), Buffer.from([n >>> 24, (n >> 16) & 255, (n >> 8) & 255, n & 255])])
  return Buffer.concat([head, body])
}
function unframe(buf) {
  const out = []
  for (let at = 0; at + 6 <= buf.length; ) {
    let n = buf[at + 1] & 127
    let p = at + 2
    if (n === 126) { n = buf.readUInt16BE(p); p += 2 }
    const mask = buf.subarray(p, p + 4)
    const data = Buffer.from(buf.subarray(p + 4, p + 4 + n))
    for (let i = 0; i < data.length; i++) data[i] ^= mask[i % 4]
    if ((buf[at] & 15) === 1) out.push(data.toString())
    if ((buf[at] & 15) === 8) out.push(null)
    at = p + 4 + n
  }
  return out
}
function publish(kind, topics, data) {
  const m = { type: 'event', pos: ++world.pos, kind, topics, data, at: new Date().toISOString() }
  for (const s of sockets) if (topics.some((t) => s.topics.includes(t))) s.write(frame(JSON.stringify(m)))
}
function pushFloor() {
  const m = JSON.stringify({ type: 'floor', data: world.floor() })
  for (const s of sockets) if (s.topics.includes('floor')) s.write(frame(m))
}

function send(res, status, body, headers = {}) {
  const text = body === undefined ? '' : JSON.stringify(body)
  res.writeHead(status, { 'Content-Type': status >= 400 ? 'application/problem+json' : 'application/json', ...headers })
  res.end(text)
}
const who = (req) => world.accounts[/mock=(\w+)/.exec(req.headers.cookie ?? '')?.[1] ?? '']

const server = createServer(async (req, res) => {
  const url = new URL(req.url, 'http://x')
  const chunks = []
  for await (const c of req) chunks.push(c)
  let body = {}
  try { body = JSON.parse(Buffer.concat(chunks).toString() || '{}') } catch { /* not JSON */ }
  if (url.pathname.startsWith('/as/')) {
    res.writeHead(302, { 'Set-Cookie': `mock=${url.pathname.slice(4)}; Path=/`, Location: url.searchParams.get('to') ?? '/' })
    return res.end()
  }
  if (url.pathname === '/mock/drop') {
    for (const s of sockets) s.destroy()
    return send(res, 200, {})
  }
  if (url.pathname.startsWith('/mock/')) {
    world.act(url.pathname.slice(6), url.searchParams, publish)
    pushFloor()
    return send(res, 200, {})
  }
  if (url.pathname.startsWith('/api/v1/')) {
    const path = url.pathname.slice(7)
    if (path === '/login') {
      const a = world.accounts[body.login]
      if (!a || body.password !== 'demo') return send(res, 401, { status: 401, detail: '用户名或密码不正确' })
      return send(res, 200, a, { 'Set-Cookie': `mock=${body.login}; Path=/` })
    }
    const me = who(req)
    if (!me) return send(res, 401, { status: 401, detail: '请先登录' })
    if (path === '/logout') return send(res, 200, {}, { 'Set-Cookie': 'mock=; Path=/; Max-Age=0' })
    const answer = world.api(req.method, path, url.searchParams, body, me, publish)
    pushFloor()
    if (answer.html) { res.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' }); return res.end(answer.html) }
    return send(res, answer.status ?? 200, answer.body)
  }
  const name = normalize(url.pathname)
  for (const f of [name, '/index.html']) {
    try {
      const data = await readFile(join(dist, f))
      res.writeHead(200, { 'Content-Type': types[extname(f)] ?? 'application/octet-stream', 'Content-Security-Policy': "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; media-src 'self' blob:; frame-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'" })
      return res.end(data)
    } catch { /* the next one */ }
  }
  res.writeHead(404)
  res.end()
})
server.on('upgrade', (req, socket) => {
  const key = createHash('sha1').update(req.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64')
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${key}\r\n\r\n`)
  socket.topics = []
  sockets.add(socket)
  socket.write(frame(JSON.stringify({ type: 'hello', pos: world.pos, at: new Date().toISOString() })))
  socket.on('data', (buf) => {
    for (const text of unframe(buf)) {
      if (text === null) { socket.end(); continue }
      socket.topics = JSON.parse(text).topics
      if (socket.topics.includes('floor')) socket.write(frame(JSON.stringify({ type: 'floor', data: world.floor() })))
    }
  })
  socket.on('close', () => sockets.delete(socket))
  socket.on('error', () => sockets.delete(socket))
})
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`))
