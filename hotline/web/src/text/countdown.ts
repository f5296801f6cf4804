// How much time is left, in words and as a lamp.
import type { Deadline, WorkOrder } from '../api/types'

export type Lamp = 'none' | 'green' | 'yellow' | 'red' | 'done'

const MIN = 60_000
const HOUR = 60 * MIN
const DAY = 24 * HOUR

// span writes a length of time by its two largest units: "1 天 4 小时",
// "3 小时 20 分", "12 分", "45 秒".
export function span(ms: number): string {
  const v = Math.max(0, ms)
  if (v >= DAY) return pair(Math.floor(v / DAY), '天', Math.floor((v % DAY) / HOUR), '小时')
  if (v >= HOUR) return pair(Math.floor(v / HOUR), '小时', Math.floor((v % HOUR) / MIN), '分')
  if (v >= MIN) return `${Math.floor(v / MIN)} 分`
  return `${Math.floor(v / 1000)} 秒`
}

function pair(a: number, au: string, b: number, bu: string): string {
  return b === 0 ? `${a} ${au}` : `${a} ${au} ${b} ${bu}`
}

// remaining writes "剩 1 天 4 小时" or "超期 3 小时".
export function remaining(dueAt: string, now: number): string {
  const left = Date.parse(dueAt) - now
  return left >= 0 ? `剩 ${span(left)}` : `超期 ${span(-left)}`
}

// timer writes "03:07" or "1:02:09" for a stop-watch.
export function timer(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000))
  const two = (n: number) => String(n).padStart(2, '0')
  const h = Math.floor(s / 3600)
  const rest = `${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`
  return h > 0 ? `${h}:${rest}` : rest
}

// lamp gives a running clock's colour: yellow from warn_at, red after due_at.
export function lamp(d: Deadline | undefined, now: number): Lamp {
  if (!d) return 'none'
  if (d.stopped_at) return d.outcome === 'breached' ? 'red' : 'done'
  if (now > Date.parse(d.due_at)) return 'red'
  if (now >= Date.parse(d.warn_at)) return 'yellow'
  return 'green'
}

// nextDeadline is the running clock that falls due first.
export function nextDeadline(o: Pick<WorkOrder, 'deadlines'>): Deadline | undefined {
  return (o.deadlines ?? [])
    .filter((d) => !d.stopped_at)
    .sort((a, b) => Date.parse(a.due_at) - Date.parse(b.due_at))[0]
}
