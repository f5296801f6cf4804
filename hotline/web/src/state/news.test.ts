import { effectScope, shallowRef } from 'vue'
import { describe, expect, it, vi } from 'vitest'
import type { Principal, WorkOrder } from '../api/types'
import type { LiveEvent } from '../live'
import { useNews } from './news'

let topics: () => string[] = () => []
let hear: (e: LiveEvent) => void = () => undefined
const me = vi.hoisted(() => ({ value: null as Principal | null }))
vi.mock('./session', () => ({ principal: me, has: (...roles: string[]) => roles.some((r) => me.value?.roles.includes(r as never)) }))
vi.mock('../live', () => ({ useLive: (t: typeof topics, h: typeof hear) => ([topics, hear] = [t, h]) }))

const order = (id: string, version: number, state: WorkOrder['state']) => ({ id, version, state, caller_last4: version === 1 ? '5678' : '', person_id: version === 1 ? '7' : '0' }) as WorkOrder
const event = (o: WorkOrder): LiveEvent => ({ type: 'event', pos: 9, kind: 'order.signed', topics: ['orders'], data: { order: o } }) as unknown as LiveEvent

describe('news', () => {
  it('move rows on in place, keep the caller, and announce the rest', () => {
    me.value = { id: '1', roles: ['leader'] } as unknown as Principal
    effectScope().run(() => {
      const items = shallowRef([order('1', 1, 'dispatched'), order('2', 1, 'dispatched')])
      const { news, seen } = useNews(items)
      expect(topics()).toEqual(['orders'])
      expect(news.value).toBe(false)
      hear(event(order('2', 2, 'signed')))
      expect(news.value).toBe(true)
      expect(items.value.map((o) => [o.id, o.state, o.caller_last4, o.person_id])).toEqual([['1', 'dispatched', '5678', '7'], ['2', 'signed', '5678', '7']])
      seen()
      hear(event(order('2', 1, 'dispatched'))) // an old one, again
      expect(items.value[1]?.state).toBe('signed')
      hear(event(order('3', 1, 'dispatched')))
      expect(items.value).toHaveLength(2)
      expect(news.value).toBe(true)
    })
  })
  it('of a unit are those of its own orders', () => {
    me.value = { id: '2', unit_code: 'CGJ', roles: ['unit'] } as unknown as Principal
    effectScope().run(() => {
      useNews(shallowRef([]))
      expect(topics()).toEqual(['unit:CGJ'])
    })
  })
})
