import { describe, expect, it } from 'vitest'
import type { Deadline } from '../api/types'
import { lamp, nextDeadline, remaining, span, timer } from './countdown'

const H = 3600_000
const due = Date.parse('2026-11-25T02:00:00Z')
const clock = (over: Partial<Deadline> = {}): Deadline => ({
  kind: 'resolve', policy: 'p', amount: 5, unit: 'workday', calendar_version: 1, started_at: '2026-11-20T02:00:00Z', due_at: '2026-11-25T02:00:00Z',
  warn_at: '2026-11-24T02:00:00Z', provisional: false, stopped_at: null, ...over,
})

describe('countdown', () => {
  it.each([
    [28 * H, '1 天 4 小时'], [48 * H, '2 天'], [3 * H + 20 * 60_000, '3 小时 20 分'], [3 * H, '3 小时'], [12 * 60_000, '12 分'], [45_000, '45 秒'], [0, '0 秒'], [-5, '0 秒'],
  ])('writes %d ms as %s', (ms, want) => expect(span(ms)).toBe(want))

  it.each([
    [due - 28 * H, '剩 1 天 4 小时'], [due, '剩 0 秒'], [due + 3 * H, '超期 3 小时'],
  ])('says how long is left at %d', (now, want) => expect(remaining('2026-11-25T02:00:00Z', now)).toBe(want))

  it.each([[0, '00:00'], [187_000, '03:07'], [3_729_000, '1:02:09'], [-1, '00:00']])('runs a timer: %d is %s', (ms, want) => expect(timer(ms)).toBe(want))

  // domain: yellow from warn_at, red only after the due instant.
  it.each([
    ['before the warning', clock(), due - 25 * H, 'green'], ['at the warning', clock(), due - 24 * H, 'yellow'], ['at the due instant', clock(), due, 'yellow'],
    ['after it', clock(), due + 1, 'red'], ['stopped in time', clock({ stopped_at: '2026-11-24T00:00:00Z', outcome: 'met' }), due + H, 'done'],
    ['stopped too late', clock({ stopped_at: '2026-11-26T00:00:00Z', outcome: 'breached' }), due + H, 'red'], ['no clock', undefined, due, 'none'],
  ] as const)('lamp %s', (_, d, now, want) => expect(lamp(d, now)).toBe(want))

  it('shows the running clock that falls due first', () => {
    const sign = clock({ kind: 'sign', due_at: '2026-11-23T06:00:00Z' })
    const stopped = clock({ kind: 'dispatch', due_at: '2026-11-23T01:00:00Z', stopped_at: '2026-11-23T00:30:00Z' })
    expect(nextDeadline({ deadlines: [clock(), stopped, sign] })?.kind).toBe('sign')
    expect(nextDeadline({ deadlines: null })).toBeUndefined()
  })
})
