// Instants as people of the office read them: Asia/Shanghai, whatever the PC says.
const zone = 'Asia/Shanghai'

const parts = new Intl.DateTimeFormat('zh-CN', {
  timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit',
  second: '2-digit', hourCycle: 'h23',
})

function split(t: Date): Record<string, string> {
  const out: Record<string, string> = {}
  for (const p of parts.formatToParts(t)) out[p.type] = p.value
  return out
}

function parse(iso: string | null | undefined): Date | null {
  if (!iso) return null
  const t = new Date(iso)
  return Number.isNaN(t.getTime()) || t.getTime() <= 0 ? null : t
}

// dateTime writes "2026-11-23 09:05", "—" for nothing.
export function dateTime(iso: string | null | undefined): string {
  const t = parse(iso)
  if (!t) return '—'
  const p = split(t)
  return `${p.year}-${p.month}-${p.day} ${p.hour}:${p.minute}`
}

// endTime writes an instant at which something ends or falls due. Midnight
// ends a day, so it is "2026-11-25 24:00" and not the next day's 00:00.
export function endTime(iso: string | null | undefined): string {
  const t = parse(iso)
  if (!t) return '—'
  const p = split(t)
  if (p.hour !== '00' || p.minute !== '00' || p.second !== '00') return dateTime(iso)
  return `${day(t.getTime() - 1000)} 24:00`
}

// clock writes "09:05:07".
export function clock(iso: string | null | undefined): string {
  const t = parse(iso)
  if (!t) return '—'
  const p = split(t)
  return `${p.hour}:${p.minute}:${p.second}`
}

// shortTime writes "09:05" for the day of now, "11-22 09:05" for others.
export function shortTime(iso: string | null | undefined, now: number): string {
  const t = parse(iso)
  if (!t) return '—'
  const p = split(t)
  const today = day(now) === `${p.year}-${p.month}-${p.day}`
  return today ? `${p.hour}:${p.minute}` : `${p.month}-${p.day} ${p.hour}:${p.minute}`
}

// day writes the Shanghai day of an instant, "2026-11-23".
export function day(ms: number): string {
  const p = split(new Date(ms))
  return `${p.year}-${p.month}-${p.day}`
}

// startOfDay returns the RFC 3339 instant a Shanghai day begins.
export function startOfDay(date: string): string {
  return `${date}T00:00:00+08:00`
}

// endOfDay returns the instant a Shanghai day ends, which is the next one's start.
export function endOfDay(date: string): string {
  const next = new Date(Date.parse(startOfDay(date)) + 24 * 3600_000)
  return startOfDay(day(next.getTime()))
}
