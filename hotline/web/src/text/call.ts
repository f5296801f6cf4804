import type { Call, PhoneStep } from '../api/types'
import type { LiveEvent } from '../live/connection'

// callOf takes the call out of a stream event call.*, with the call as data
// or under data.call.
export function callOf(e: Extract<LiveEvent, { type: 'event' }>): Call | null {
  if (!e.kind.startsWith('call.')) return null
  const d = e.data as (Partial<Call> & { call?: Call }) | null
  const c = d?.call ?? d
  return c && typeof c.id === 'string' && c.id !== '' ? (c as Call) : null
}

// ringingOf makes the first sight of a call from a step of the own phone,
// which comes from the floor and waits for no database. Null unless it rings.
export function ringingOf(step: PhoneStep): Call | null {
  const w = step.call
  if (!w || step.agent.state !== 'ringing') return null
  return {
    id: w.id, caller: w.caller, person_id: '0', original_number: w.original_number, line: '', source: '', trunk: '',
    arrived_at: w.since, queued_at: w.since, offered_at: step.agent.since, answered_at: null, ended_at: null,
    agent_id: step.agent.id, extension: step.agent.extension, ended_by: '', end_reason: '', has_recording: false, recording_ms: 0,
  }
}
