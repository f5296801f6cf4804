import type { Call } from '../api/types'
import type { LiveEvent } from '../live/connection'

// callOf takes the call out of a live message: a stream event call.* or a
// "call" message, with the call as data or under data.call.
export function callOf(e: LiveEvent): Call | null {
  if (e.type !== 'call' && !(e.type === 'event' && e.kind.startsWith('call.'))) return null
  const d = e.data as (Partial<Call> & { call?: Call }) | null
  const c = d?.call ?? d
  return c && typeof c.id === 'string' && c.id !== '' ? (c as Call) : null
}
