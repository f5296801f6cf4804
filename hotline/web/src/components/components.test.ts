// @vitest-environment happy-dom
import { mount } from '@vue/test-utils'
import { afterEach, describe, expect, it } from 'vitest'
import { ApiError } from '../api/problem'
import type { Deadline, OrderEvent, WorkOrder } from '../api/types'
import { recovered, status } from '../live'
import { now } from '../state/clock'
import DeadlineRow from './DeadlineRow.vue'
import FieldError from './FieldError.vue'
import ListState from './ListState.vue'
import LiveBanner from './LiveBanner.vue'
import OrderTimeline from './OrderTimeline.vue'
import StaleNotice from './StaleNotice.vue'
import TimeLeft from './TimeLeft.vue'

const due = (over: Partial<Deadline> = {}): Deadline => ({
  kind: 'resolve', policy: 'p', amount: 5, unit: 'workday', calendar_version: 1, started_at: '2026-11-20T00:00:00Z', due_at: '2026-11-25T00:00:00Z', warn_at: '2026-11-24T00:00:00Z', provisional: false, stopped_at: null, ...over,
})

describe('TimeLeft', () => {
  it('runs with the clock from green over yellow to red', async () => {
    now.value = Date.parse('2026-11-23T20:00:00Z')
    const w = mount(TimeLeft, { props: { deadlines: [due({ provisional: true })] } })
    expect(w.text()).toBe('剩 1 天 4 小时暂定')
    expect(w.classes()).toContain('green')
    now.value = Date.parse('2026-11-24T12:00:00Z')
    await w.vm.$nextTick()
    expect(w.classes()).toContain('yellow')
    now.value = Date.parse('2026-11-25T03:00:00Z')
    await w.vm.$nextTick()
    expect(w.classes()).toContain('red')
    expect(w.text()).toContain('超期 3 小时')
  })
  it('shows a dash without a running clock', () => expect(mount(TimeLeft, { props: { deadlines: null } }).text()).toBe('—'))
})

describe('DeadlineRow', () => {
  const row = (over: Partial<Deadline>) => mount(DeadlineRow, { props: { deadline: due(over) } })
  it.each<[string, string, Partial<Deadline>, string]>([
    ['green', '剩 1 天 4 小时', {}, '2026-11-23T20:00:00Z'], ['yellow', '剩 12 小时', {}, '2026-11-24T12:00:00Z'], ['red', '超期 3 小时', {}, '2026-11-25T03:00:00Z'],
    ['done', '按时完成', { stopped_at: '2026-11-22T00:00:00Z', outcome: 'met' }, '2026-11-25T03:00:00Z'], ['red', '超期完成', { stopped_at: '2026-11-26T00:00:00Z', outcome: 'breached' }, '2026-11-27T03:00:00Z'],
  ])('is %s and says %s', (colour, says, over, at) => {
    now.value = Date.parse(at)
    const w = row(over)
    expect(w.attributes('data-lamp')).toBe(colour)
    expect(w.text()).toContain(says)
    expect(w.text()).not.toContain('暂定')
  })
  it('marks what is provisional and ends a day at 24:00', () => {
    const w = row({ provisional: true, due_at: '2027-01-05T16:00:00Z' })
    expect(w.text()).toContain('暂定')
    expect(w.text()).toContain('截止 2027-01-05 24:00')
  })
})

describe('LiveBanner', () => {
  afterEach(() => {
    status.value = 'off'
    recovered.value = false
  })
  it('says lost, then recovered, then nothing', async () => {
    status.value = 'lost'
    const w = mount(LiveBanner)
    expect(w.get('[data-testid=live-banner]').attributes('data-status')).toBe('lost')
    status.value = 'online'
    recovered.value = true
    await w.vm.$nextTick()
    expect(w.text()).toContain('已恢复')
    recovered.value = false
    await w.vm.$nextTick()
    expect(w.find('[data-testid=live-banner]').exists()).toBe(false)
  })
})

describe('ListState', () => {
  const base = { loading: false, loaded: false, error: null, empty: false }
  it.each([
    ['loading', { loading: true }, 'list-loading'], ['empty', { loaded: true, empty: true }, 'list-empty'], ['error', { error: new ApiError({ status: 503 }) }, 'list-error'],
  ])('shows %s', (_, over, id) => expect(mount(ListState, { props: { ...base, ...over } }).find(`[data-testid=${id}]`).exists()).toBe(true))
  it('shows nothing over rows', () => expect(mount(ListState, { props: { ...base, loaded: true, loading: true } }).find('div').exists()).toBe(false))
  it('tries again', async () => {
    const w = mount(ListState, { props: { ...base, error: new ApiError({ status: 0, code: 'offline' }) } })
    expect(w.text()).toContain('网络已断开')
    await w.get('[data-testid=list-retry]').trigger('click')
    expect(w.emitted('retry')).toHaveLength(1)
  })
})

describe('FieldError', () => {
  it('stands beside its own member only', () => {
    expect(mount(FieldError, { props: { name: 'title', faults: { title: '请填写标题' } } }).text()).toBe('请填写标题')
    expect(mount(FieldError, { props: { name: 'content', faults: { title: '请填写标题' } } }).text()).toBe('')
  })
})

const event = (seq: number, kind: OrderEvent['kind'], actor: string): OrderEvent => ({ order_id: '1', seq, kind, at: '2026-11-23T01:00:00Z', actor, actor_name: actor === '0' ? '' : '胡建国', unit_code: 'CGJ', audience: 'units', data: null })

describe('OrderTimeline', () => {
  it('tells every event once, in order, and can leave the system out', async () => {
    const w = mount(OrderTimeline, { props: { events: [event(1, 'submitted', '11'), event(2, 'dispatched', '0'), event(3, 'signed', '14')] } })
    expect(w.findAll('li').map((li) => li.attributes('data-testid'))).toEqual(['event-submitted', 'event-dispatched', 'event-signed'])
    expect(w.get('[data-testid=event-signed]').text()).toContain('胡建国')
    await w.get('input').setValue(false)
    expect(w.findAll('li')).toHaveLength(2)
  })
})

describe('StaleNotice', () => {
  it('shows who changed what and hands over the current order', async () => {
    const mine = { id: '1', state: 'dispatched', title: '甲', assignments: [] } as unknown as WorkOrder
    const current = { ...mine, state: 'signed' as const }
    const error = new ApiError({ status: 409, current, since: [event(3, 'signed', '14')] })
    const w = mount(StaleNotice, { props: { error, mine } })
    expect(w.text()).toContain('胡建国')
    expect(w.get('del').text()).toBe('待签收')
    expect(w.get('ins').text()).toBe('办理中')
    await w.get('button').trigger('click')
    expect(w.emitted('accept')?.[0]).toEqual([current])
  })
})
