import { describe, expect, it } from 'vitest'
import { callFilters, dayOf, lastDayOf, orderFilters, readFilters, truth, wholeDays, writeFilters } from './filters'
import { day, endOfDay, startOfDay } from './time'

describe('filters in the address', () => {
  it('opens the very list a report links to', () => {
    const link = new URLSearchParams('accepted_from=2026-11-22T00:00:00%2B08:00&accepted_to=2026-11-23T00:00:00%2B08:00&direct=0&state=closed&evil=1&unit=')
    const f = readFilters(orderFilters, Object.fromEntries(link))
    expect(f).toEqual({ accepted_from: '2026-11-22T00:00:00+08:00', accepted_to: '2026-11-23T00:00:00+08:00', direct: '0', state: 'closed' })
    expect(readFilters(orderFilters, writeFilters(orderFilters, f) as Record<string, string>)).toEqual(f)
  })
  it('joins a repeated name', () => expect(readFilters(orderFilters, { state: ['dispatched', 'signed', null] })).toEqual({ state: 'dispatched,signed' }))
  it('knows only the filters of its list', () => expect(readFilters(callFilters, { from: 'a', unit: 'X' })).toEqual({ from: 'a' }))
  it('drops what was cleared', () => expect(writeFilters(callFilters, { from: '', answered: '0' })).toEqual({ answered: '0' }))
  it.each([
    ['2026-11-22T16:00:00Z', '2026-11-23', '2026-11-22'], ['2026-11-23T00:00:00+08:00', '2026-11-23', '2026-11-22'], ['2026-11-23', '2026-11-23', '2026-11-23'], ['nonsense', '', ''], [undefined, '', ''],
  ])('%s starts the day %s and ends the day %s', (v, first, last) => {
    expect(dayOf(v)).toBe(first)
    expect(lastDayOf(v)).toBe(last)
  })
  it.each([
    ['2026-11-22T16:00:00Z', '2026-11-23T16:00:00Z', true], ['2026-11-23', '2026-11-24', true], [undefined, undefined, true], ['2026-11-22T17:00:00Z', '2026-11-22T18:00:00Z', false],
  ])('%s to %s is whole days: %s', (from, to, want) => expect(wholeDays(from, to)).toBe(want))
  it.each([['1', 'true'], ['true', 'true'], ['0', 'false'], ['false', 'false'], ['', ''], [undefined, '']])('%s means %s', (v, want) => expect(truth(v)).toBe(want))
  it('makes a day of Asia/Shanghai, whatever the zone of the PC', () => {
    expect(startOfDay('2026-12-31')).toBe('2026-12-31T00:00:00+08:00')
    expect(endOfDay('2026-12-31')).toBe('2027-01-01T00:00:00+08:00')
    expect(day(Date.parse('2026-11-23T16:00:00Z'))).toBe('2026-11-24')
  })
})
