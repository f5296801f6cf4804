import { describe, expect, it } from 'vitest'
import { dateTime, endTime } from './time'

describe('time', () => {
  it.each([
    ['2026-11-25T16:00:00Z', '2026-11-25 24:00'], ['2026-12-31T16:00:00Z', '2026-12-31 24:00'], ['2026-11-25T16:01:00Z', '2026-11-26 00:01'],
    ['2026-11-25T15:59:59Z', '2026-11-25 23:59'], ['2026-11-25T16:00:30Z', '2026-11-26 00:00'], ['', '—'], [null, '—'],
  ])('an end at %s is written %s', (iso, want) => expect(endTime(iso)).toBe(want))
  it('a beginning at midnight is 00:00 of its own day', () => expect(dateTime('2026-11-25T16:00:00Z')).toBe('2026-11-26 00:00'))
})
