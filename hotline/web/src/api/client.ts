import { ApiError, offlineError } from './problem'
import type { Problem } from './types'

const BASE = '/api/v1'
const TIMEOUT_MS = 20_000

type Query = Record<string, string | number | boolean | undefined | null>

let onUnauthenticated: () => void = () => {}

// whenUnauthenticated sets what happens when the session is gone (401).
export function whenUnauthenticated(f: () => void): void {
  onUnauthenticated = f
}

// queryString writes the set members of q, "" when there is none.
export function queryString(q: Query): string {
  const p = new URLSearchParams()
  for (const [k, v] of Object.entries(q)) {
    if (v === undefined || v === null || v === '' || v === false) continue
    p.set(k, v === true ? '1' : String(v))
  }
  const s = p.toString()
  return s === '' ? '' : `?${s}`
}

async function problemOf(res: Response): Promise<Problem> {
  try {
    const body = (await res.json()) as Partial<Problem>
    return { ...body, status: res.status }
  } catch {
    return { status: res.status }
  }
}

interface Options {
  body?: unknown
  headers?: Record<string, string>
  quiet401?: boolean
  keepalive?: boolean
}

async function send(method: string, path: string, o: Options = {}): Promise<Response> {
  const headers: Record<string, string> = { Accept: 'application/json, application/problem+json', ...o.headers }
  const init: RequestInit = { method, headers, credentials: 'same-origin', signal: AbortSignal.timeout(TIMEOUT_MS) }
  if (o.keepalive) init.keepalive = true
  if (o.body !== undefined) {
    headers['Content-Type'] = 'application/json'
    init.body = JSON.stringify(o.body)
  }
  let res: Response
  try {
    res = await fetch(BASE + path, init)
  } catch {
    throw offlineError()
  }
  if (res.ok) return res
  if (res.status === 401 && !o.quiet401) onUnauthenticated()
  throw new ApiError(await problemOf(res))
}

async function json<T>(method: string, path: string, o: Options = {}): Promise<T> {
  const res = await send(method, path, o)
  if (res.status === 204) return undefined as T
  const text = await res.text()
  return (text === '' ? undefined : JSON.parse(text)) as T
}

export const http = {
  get: <T>(path: string, query: Query = {}, o: Options = {}) => json<T>('GET', path + queryString(query), o),
  post: <T>(path: string, body: unknown = {}, o: Options = {}) => json<T>('POST', path, { ...o, body }),
  put: <T>(path: string, body: unknown, o: Options = {}) => json<T>('PUT', path, { ...o, body }),
  del: (path: string) => json<void>('DELETE', path),
  text: async (path: string) => (await send('GET', path, { headers: { Accept: 'text/html' } })).text(),
}
