// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { activeID, closeDraft, drafts, loadDrafts, openDraft, settle, touch } from './drafts'

const saved: { id: string; title: string }[] = []
let answer: () => Promise<Response>

beforeEach(() => {
  vi.useFakeTimers()
  saved.length = 0
  answer = async () => new Response(JSON.stringify({ updated_at: '2026-11-23T01:00:00Z' }))
  vi.stubGlobal('fetch', vi.fn(async (path: string, init: RequestInit) => {
    if (init.method === 'GET') return new Response(JSON.stringify({ drafts: [{ id: 'kept', call_id: '', form: { title: '昨天的' }, updated_at: '2026-11-22T01:00:00Z' }] }))
    if (init.method === 'PUT') saved.push({ id: path.split('/').at(-1)!, title: JSON.parse(String(init.body)).form.title })
    return answer()
  }))
})
afterEach(async () => {
  for (const d of [...drafts]) await closeDraft(d.id)
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

describe('drafts', () => {
  it('are stored within half a second of the first key stroke, once for a burst', async () => {
    const d = openDraft()
    for (const title of ['路', '路灯', '路灯不亮']) {
      d.form.title = title
      touch(d.id)
      await vi.advanceTimersByTimeAsync(100)
    }
    expect(saved).toEqual([])
    await vi.advanceTimersByTimeAsync(200)
    expect(saved).toEqual([{ id: d.id, title: '路灯不亮' }])
    expect(d.saved).toBe('saved')
    expect(d.savedAt).toBe('2026-11-23T01:00:00Z')
  })

  it('are stored again when the text moved on during a save', async () => {
    const d = openDraft()
    d.form.title = '甲'
    touch(d.id)
    answer = async () => {
      if (saved.length === 1) {
        d.form.title = '甲乙'
        touch(d.id)
      }
      return new Response('{}')
    }
    await vi.advanceTimersByTimeAsync(2000)
    expect(saved.map((s) => s.title)).toEqual(['甲', '甲乙'])
    expect(d.saved).toBe('saved')
  })

  it('are tried again until the network is back', async () => {
    const d = openDraft()
    touch(d.id)
    answer = () => Promise.reject(new TypeError('network'))
    await vi.advanceTimersByTimeAsync(500)
    expect(d.saved).toBe('failed')
    expect(d.problem).toContain('网络已断开')
    answer = async () => new Response('{}')
    await vi.advanceTimersByTimeAsync(3000)
    expect(d.saved).toBe('saved')
  })

  it('are one for a call, however often it is told', () => {
    const call = { id: 'c1', source: '02' } as Parameters<typeof openDraft>[0]
    expect(openDraft(call).id).toBe(openDraft(call).id)
    expect(drafts).toHaveLength(1)
    expect(drafts[0]?.form.source).toBe('02')
  })

  it('come back after a reload', async () => {
    await loadDrafts()
    await loadDrafts()
    expect(drafts.map((d) => [d.id, d.form.title, d.saved])).toEqual([['kept', '昨天的', 'saved']])
    expect(activeID.value).toBe('kept')
  })

  it('come back after a reload in the middle of a talk, though the call was told first', async () => {
    const call = { id: 'c9', source: '01' } as Parameters<typeof openDraft>[0]
    vi.stubGlobal('fetch', vi.fn(async (_: string, init: RequestInit) =>
      init.method === 'GET' ? new Response(JSON.stringify({ drafts: [{ id: 'talk', call_id: 'c9', form: { title: '写了一半' }, updated_at: '2026-11-23T01:00:00Z' }] })) : new Response('{}')))
    openDraft(call)
    await loadDrafts()
    await vi.advanceTimersByTimeAsync(1000)
    expect(drafts.map((d) => [d.id, d.form.title])).toEqual([['talk', '写了一半']])
    expect(activeID.value).toBe('talk')
    expect(openDraft(call).id).toBe('talk')
  })

  it('keep what was typed into the new form before the old ones were read', async () => {
    const d = openDraft({ id: 'c8', source: '01' } as Parameters<typeof openDraft>[0])
    d.form.title = '已开始写'
    vi.stubGlobal('fetch', vi.fn(async (_: string, init: RequestInit) =>
      init.method === 'GET' ? new Response(JSON.stringify({ drafts: [{ id: 'older', call_id: 'c8', form: { title: '先前的' }, updated_at: '2026-11-23T01:00:00Z' }] })) : new Response('{}')))
    await loadDrafts()
    expect(drafts.map((x) => x.form.title)).toEqual(['已开始写', '先前的'])
    expect(activeID.value).toBe(d.id)
  })

  it('are not stored after they became an order', async () => {
    const d = openDraft()
    touch(d.id)
    await settle(d.id)
    await vi.advanceTimersByTimeAsync(5000)
    expect(saved).toEqual([])
  })
})
