import { describe, expect, it } from 'vitest'
import { checkForm, draftTitle, emptyForm, restoreForm, submissionKey, toSubmission, touched, uuid } from './form'
import { changes } from './changes'
import { keyIs } from './keys'
import { buildTree, pathOf, subtree } from './tree'
import type { WorkOrder } from '../api/types'

const full = { ...emptyForm(), demand_type: 'help' as const, category_code: '010401', area_code: '341802', title: '路灯不亮', content: '一周不亮' }

describe('order form', () => {
  it('names everything that is missing', () => expect(Object.keys(checkForm(emptyForm()))).toEqual(['demand_type', 'category_code', 'area_code', 'title', 'content']))
  it('lets a full form go', () => expect(checkForm(full)).toEqual({}))
  it('counts characters, not UTF-16 units', () => {
    expect(checkForm({ ...full, title: '𠮷'.repeat(50) }).title).toBeUndefined()
    expect(checkForm({ ...full, title: '字'.repeat(51) }).title).toBe('标题不超过 50 字')
  })
  it.each([['13812345678', true], ['0563-3021234', true], ['+86 138 1234 5678', true], ['138****5678', false], ['张三', false]])('phone %s fits: %s', (phone, fits) => expect(checkForm({ ...full, caller_phone: phone }).caller_phone === undefined).toBe(fits))
  it('sends the call only when there is one, and trims', () => {
    expect(toSubmission('d', '', { ...full, title: ' 路灯 ' })).toMatchObject({ draft_id: 'd', title: '路灯' })
    expect(toSubmission('d', '', full)).not.toHaveProperty('call_id')
    expect(toSubmission('d', 'c', full).call_id).toBe('c')
  })
  it('sends a lost try under its own key again, and a corrected text under a new one', () => {
    const key = submissionKey(toSubmission('d', 'c', full))
    expect(submissionKey(toSubmission('d', 'c', { ...full }))).toBe(key)
    expect(submissionKey(toSubmission('d', 'c', { ...full, title: '路灯不亮了' }))).not.toBe(key)
    expect(submissionKey(toSubmission('e', 'c', full))).not.toBe(key)
  })
  it('brings back a draft of an older page', () => expect(restoreForm({ title: '甲' })).toEqual({ ...emptyForm(), title: '甲' }))
  it('knows an untouched form', () => {
    expect(touched(emptyForm())).toBe(false)
    expect(touched({ ...emptyForm(), address: '路' })).toBe(true)
  })
  it('names a tab', () => {
    expect(draftTitle(emptyForm())).toBe('新工单')
    expect(draftTitle({ ...full, title: '鳌峰东路烧烤店油烟扰民' })).toBe('鳌峰东路烧烤店油…')
  })
  it('makes different ids', () => {
    expect(uuid()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(uuid()).not.toBe(uuid())
  })
})

describe('shortcuts', () => {
  const press = (over: object) => ({ key: 'Enter', ctrlKey: true, metaKey: false, altKey: false, shiftKey: false, isComposing: false, keyCode: 13, ...over }) as KeyboardEvent
  it('fires on Ctrl+Enter', () => expect(keyIs(press({}), 'Enter', { ctrl: true })).toBe(true))
  it.each([['while an input method composes', { isComposing: true }], ['on its last key', { keyCode: 229 }], ['without Ctrl', { ctrlKey: false }], ['with Shift', { shiftKey: true }]])('is silent %s', (_, over) => expect(keyIs(press(over), 'Enter', { ctrl: true })).toBe(false))
})

describe('trees', () => {
  const items = [{ code: 'a', parent: '', name: '甲' }, { code: 'b', parent: 'a', name: '乙' }, { code: 'c', parent: 'b', name: '丙' }, { code: 'x', parent: 'lost', name: '丁' }]
  it('joins children to parents and keeps orphans', () => {
    const t = buildTree(items)
    expect(t.map((n) => n.value)).toEqual(['a', 'x'])
    expect(t[0]?.children?.[0]?.children?.[0]?.value).toBe('c')
  })
  it('walks down', () => expect(subtree(items, 'a')).toEqual(['a', 'b', 'c']))
  it('walks up, even in a cycle', () => {
    expect(pathOf(new Map(items.map((i) => [i.code, i])), 'c').map((i) => i.name)).toEqual(['甲', '乙', '丙'])
    const cycle = new Map([['p', { code: 'p', parent: 'q' }], ['q', { code: 'q', parent: 'p' }]])
    expect(pathOf(cycle, 'p')).toHaveLength(2)
  })
})

describe('what a colleague changed', () => {
  const o = { state: 'dispatched', title: '甲', content: '', address: '', category_code: '01', urgency: 1, answer: '', assignments: [] } as unknown as WorkOrder
  it('lists the differences with both values', () => {
    expect(changes(o, { ...o, state: 'signed', answer: '已办' })).toEqual([{ name: '状态', before: '待签收', after: '办理中' }, { name: '答复', before: '（无）', after: '已办' }])
    expect(changes(o, { ...o })).toEqual([])
  })
})
