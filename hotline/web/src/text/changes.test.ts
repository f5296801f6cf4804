import { describe, expect, it } from 'vitest'
import type { WorkOrder } from '../api/types'
import { changes } from './changes'

const order = (over: object) => ({ state: 'signed', title: '路灯不亮', content: '', address: '', category_code: '', urgency: 1, answer: '', ...over }) as unknown as WorkOrder
const lead = (unit_code: string, ended_at: string | null = null) => ({ role: 'lead', unit_code, ended_at })

describe('changes', () => {
  it('tells of an answer without taking the unit away', () => {
    const mine = order({ assignments: [lead('CGJ')] })
    const current = order({ state: 'pending_callback', answer: '已修复', assignments: [lead('CGJ', '2026-11-23T01:00:00Z')] })
    expect(changes(mine, current).map((c) => [c.name, c.before, c.after])).toEqual([['状态', '办理中', '待回访'], ['答复', '（无）', '已修复']])
  })
  it('tells of another unit by its name', () => {
    const mine = order({ assignments: [] })
    const current = order({ assignments: [lead('CGJ', '2026-11-23T01:00:00Z'), lead('ZJJ')] })
    expect(changes(mine, current, (c) => (c === 'ZJJ' ? '市住建局' : c))).toEqual([{ name: '主办单位', before: '（无）', after: '市住建局' }])
  })
})
