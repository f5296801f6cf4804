// Filters of a list live in the address, under the very names the API takes,
// so that a link in a report opens the list its figure counts.
import type { LocationQuery, LocationQueryRaw } from 'vue-router'

export const orderFilters = [
  'desk', 'unit', 'lead', 'state', 'source', 'type', 'category', 'area', 'accepted_from', 'accepted_to', 'closed_from', 'closed_to',
  'due_from', 'due_to', 'resolve_due_from', 'resolve_due_to', 'on_time', 'overdue', 'overdue_at', 'satisfaction', 'direct', 'person_id',
  'call_id', 'agent',
] as const

export const callFilters = ['from', 'to', 'agent', 'answered', 'answered_within', 'end_reason', 'line', 'source', 'person_id'] as const

export type Filters<K extends string> = Partial<Record<K, string>>

// readFilters takes the known, non-empty members of an address. A name given
// several times is joined by commas.
export function readFilters<K extends string>(names: readonly K[], q: LocationQuery): Filters<K> {
  const out: Filters<K> = {}
  for (const name of names) {
    const raw = q[name]
    const value = (Array.isArray(raw) ? raw.filter((v) => v) : [raw]).filter((v): v is string => !!v).join(',')
    if (value !== '') out[name] = value
  }
  return out
}

// writeFilters makes the address of the filters, in the order of names.
export function writeFilters<K extends string>(names: readonly K[], f: Filters<K>): LocationQueryRaw {
  const out: LocationQueryRaw = {}
  for (const name of names) {
    const v = f[name]
    if (v !== undefined && v !== '') out[name] = v
  }
  return out
}

// dayOf shows a filter instant as the day in a date box: "2026-11-23" of
// "2026-11-23" or "2026-11-22T16:00:00Z".
export function dayOf(value: string | undefined): string {
  if (!value) return ''
  if (/^\d{4}-\d{2}-\d{2}$/.test(value)) return value
  const t = Date.parse(value)
  return Number.isNaN(t) ? '' : new Date(t + 8 * 3600_000).toISOString().slice(0, 10)
}

// lastDayOf shows the end of a span, which is exclusive when it is an instant
// at midnight: the day before it.
export function lastDayOf(value: string | undefined): string {
  if (!value || /^\d{4}-\d{2}-\d{2}$/.test(value)) return value ?? ''
  const t = Date.parse(value)
  return Number.isNaN(t) ? '' : dayOf(new Date(t - 1).toISOString())
}

// wholeDays tells whether a span begins and ends with days of Asia/Shanghai,
// so that two date boxes can show it.
export function wholeDays(from: string | undefined, to: string | undefined): boolean {
  const atMidnight = (v: string | undefined) => !v || v.length === 10 || (Date.parse(v) + 8 * 3600_000) % (24 * 3600_000) === 0
  return atMidnight(from) && atMidnight(to)
}

// truth reads a yes-or-no filter: "true", "1", "false", "0"; "" for none.
export function truth(value: string | undefined): '' | 'true' | 'false' {
  if (value === 'true' || value === '1') return 'true'
  if (value === 'false' || value === '0') return 'false'
  return ''
}
