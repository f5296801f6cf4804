// Filters of a list live in the address, under the very names the API takes,
// so that a link in a report opens the list its figure counts.
import type { LocationQuery, LocationQueryRaw } from 'vue-router'

export const orderFilters = [
  'desk', 'unit', 'state', 'source', 'type', 'category', 'area', 'accepted_from', 'accepted_to', 'closed_from', 'closed_to',
  'due_from', 'due_to', 'overdue', 'overdue_at', 'direct', 'person_id', 'agent', 'number',
] as const

export const callFilters = ['from', 'to', 'agent', 'answered', 'end_reason'] as const

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
