import { describe, expect, it } from 'vitest'
import type { EventKind, OrderEvent } from '../api/types'
import { deadlineText, tell } from './timeline'

const names = { unit: (c: string) => ({ CGJ: '市城管局', XZ: '宣州区' })[c] ?? c, category: () => '城市管理 / 油烟', area: () => '宣州区', source: () => '12345电话' }
const event = (kind: EventKind, data: unknown): OrderEvent => ({ order_id: '1', seq: 1, kind, at: '2026-11-23T01:00:00Z', actor: '0', unit_code: '', audience: 'units', data })
const due = { kind: 'resolve', policy: 'p', amount: 5, unit: 'workday', calendar_version: 1, started_at: '', due_at: '2026-11-30T16:00:00Z', warn_at: '', provisional: true, stopped_at: null } as const
const text = (kind: EventKind, data: unknown) => tell(event(kind, data), names).lines.map((l) => `${l.name}：${l.text}`)

describe('timeline', () => {
  it('names every kind of event in Chinese', () => {
    const kinds: EventKind[] = ['submitted', 'direct_answered', 'unmatched', 'dispatched', 'signed', 'replied', 'callback_failed', 'callback_done', 'closed', 'deadline_moved']
    for (const k of kinds) expect(tell(event(k, null), names).title, k).toMatch(/^[\u4e00-\u9fff，]+$/)
  })
  it('tells who got the order, why, and by when', () => {
    const reason = { kind: 'rule', rule: '0203-341802', catalogue_version: 3, text: '油烟扰民由市城管局主办' }
    const a = { id: '1', sent_at: '', signed_at: null, ended_at: null, reason }
    expect(text('dispatched', { assignments: [{ ...a, unit_code: 'CGJ', role: 'lead' }, { ...a, unit_code: 'XZ', role: 'co' }], clocks_started: [due] })).toEqual([
      '主办：市城管局', '协办：宣州区', '派单依据：油烟扰民由市城管局主办（派单目录 0203-341802，第 3 版）', '起算：办理时限 5 个工作日，截止 2026-11-30 24:00（暂定：年度放假安排尚未公布）',
    ])
  })
  it('shows a breached clock in red', () => {
    const told = tell(event('replied', { unit_code: 'CGJ', text: '已办', solved: 'yes', contacted_at: null, clocks_stopped: [{ kind: 'resolve', at: '', outcome: 'breached' }] }), names)
    expect(told.tone).toBe('danger')
    expect(told.lines.map((l) => l.text)).toEqual(['市城管局', '已办', '已解决', '办理时限：已超期'])
  })
  it('tells the caller’s word', () => expect(text('callback_done', { satisfaction: 2, solved: 'partly', note: '' })).toEqual(['满意度：满意', '诉求人认为：部分解决']))
  it('does not name a rule twice', () => {
    const reason = { kind: 'rule', rule: '0203-341802', catalogue_version: 3, text: '按派单目录 0203-341802：由市城管局主办' }
    expect(text('dispatched', { assignments: [{ unit_code: 'CGJ', role: 'lead', reason }] })).toContain('派单依据：按派单目录 0203-341802：由市城管局主办（派单目录第 3 版）')
  })
  it('writes a manual choice with its reason', () => {
    const reason = { kind: 'manual', catalogue_version: 0, text: '依三定方案' }
    expect(text('dispatched', { assignments: [{ unit_code: 'CGJ', role: 'lead', reason }] })).toContain('人工派单理由：依三定方案')
  })
  it('leaves unknown data out', () => expect(text('closed', { secret: 1 })).toEqual([]))
  it('writes a limit without an amount', () => expect(deadlineText({ ...due, amount: 0, provisional: false })).toBe('办理时限，截止 2026-11-30 24:00'))
})
