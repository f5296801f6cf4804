import { describe, expect, it } from 'vitest'
import type { Agent, WaitingCall } from '../api/types'
import { callOf, ringingOf } from './call'

describe('calls in live messages', () => {
  const event = (kind: string, data: unknown) => ({ type: 'event' as const, pos: 1, kind, topics: ['agent:1'], data })
  it('takes the call of call events only', () => {
    expect(callOf(event('call.offered', { call: { id: 'c1' } }))?.id).toBe('c1')
    expect(callOf(event('order.dispatched', { call: { id: 'c1' } }))).toBeNull()
    expect(callOf(event('call.offered', null))).toBeNull()
  })
  const agent = { id: '1', extension: '1001', since: '2026-11-23T01:00:00Z', state: 'ringing' } as Agent
  const waiting = { id: 'c1', caller: '138****5678', original_number: '12345', since: '2026-11-23T00:59:50Z' } as WaitingCall
  it('pops the card from the floor alone, while the phone rings', () => {
    expect(ringingOf({ agent, call: waiting })).toMatchObject({ id: 'c1', caller: '138****5678', answered_at: null })
    expect(ringingOf({ agent: { ...agent, state: 'talking' }, call: waiting })).toBeNull()
    expect(ringingOf({ agent, call: null })).toBeNull()
  })
})
