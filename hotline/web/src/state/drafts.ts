// The agent's drafts: kept on the server from the first key stroke, one tab
// each, one more for every call.
import { computed, reactive, ref } from 'vue'
import { api } from '../api'
import { asApiError } from '../api/problem'
import type { Call, OrderForm } from '../api/types'
import { emptyForm, restoreForm, touched, uuid } from '../text/form'

const SAVE_MS = 400
const RETRY_MS = 3000

export type Saved = 'new' | 'dirty' | 'saving' | 'saved' | 'failed'

export interface OpenDraft {
  id: string
  call_id: string
  call: Call | null
  form: OrderForm
  saved: Saved
  savedAt: string
  problem: string
  touchedAt: number // counts keystrokes, so that a save knows whether it is the last word
}

export const drafts = reactive<OpenDraft[]>([])
export const activeID = ref('')
export const active = computed(() => drafts.find((d) => d.id === activeID.value) ?? null)

const timers = new Map<string, ReturnType<typeof setTimeout>>()
const saves = new Map<string, Promise<void>>() // under way

// openDraft starts a draft, or shows the one the call already has.
export function openDraft(call: Call | null = null): OpenDraft {
  const old = call ? drafts.find((d) => d.call_id === call.id) : undefined
  if (old) {
    activeID.value = old.id
    return old
  }
  const d: OpenDraft = {
    id: uuid(), call_id: call?.id ?? '', call, form: emptyForm(call?.source || '01'), saved: 'new', savedAt: '',
    problem: '', touchedAt: 0,
  }
  drafts.push(d)
  activeID.value = d.id
  if (call) touch(d.id)
  return drafts.find((x) => x.id === d.id)!
}

// loadDrafts brings back what the server kept.
export async function loadDrafts(): Promise<void> {
  const kept = await api.drafts()
  for (const k of kept) {
    if (drafts.some((d) => d.id === k.id)) continue
    // The call was told before this answer came and got an empty form: what
    // was written before the reload takes its place.
    const blank = k.call_id ? drafts.find((d) => d.call_id === k.call_id && !hasText(d)) : undefined
    drafts.push({
      id: k.id, call_id: k.call_id ?? '', call: null, form: restoreForm(k.form), saved: 'saved', savedAt: k.updated_at,
      problem: '', touchedAt: 0,
    })
    if (!blank) continue
    if (activeID.value === blank.id) activeID.value = k.id
    void closeDraft(blank.id)
  }
  for (const d of drafts) {
    if (d.call_id && !d.call) api.call(d.call_id).then((c) => (d.call = c)).catch(() => undefined)
  }
  if (activeID.value === '' && drafts.length > 0) activeID.value = drafts.at(-1)!.id
}

// touch notes a change; it is stored at most SAVE_MS later.
export function touch(id: string): void {
  const d = drafts.find((x) => x.id === id)
  if (!d) return
  d.touchedAt++
  d.saved = 'dirty'
  if (!timers.has(id)) timers.set(id, setTimeout(() => begin(id), SAVE_MS))
}

function begin(id: string): void {
  timers.delete(id)
  const p = save(id).finally(() => saves.delete(id))
  saves.set(id, p)
}

// settle waits for a save under way and starts no other: the draft is about
// to become an order, and a late save would bring it back.
export async function settle(id: string): Promise<void> {
  const t = timers.get(id)
  if (t !== undefined) clearTimeout(t)
  timers.delete(id)
  await saves.get(id)
  const again = timers.get(id)
  if (again !== undefined) clearTimeout(again)
  timers.delete(id)
}

async function save(id: string): Promise<void> {
  const d = drafts.find((x) => x.id === id)
  if (!d) return
  const at = d.touchedAt
  d.saved = 'saving'
  try {
    const kept = await api.saveDraft({ id: d.id, call_id: d.call_id, form: { ...d.form }, updated_at: '' })
    d.savedAt = kept?.updated_at ?? new Date().toISOString()
    d.problem = ''
    d.saved = d.touchedAt === at ? 'saved' : 'dirty'
  } catch (e) {
    d.saved = 'failed'
    d.problem = asApiError(e).message
  }
  if (d.saved === 'saved' || timers.has(id) || !drafts.includes(d)) return
  timers.set(id, setTimeout(() => begin(id), d.saved === 'failed' ? RETRY_MS : SAVE_MS))
}

// flush stores what is not stored yet: the page is about to go.
export function flush(): void {
  for (const d of drafts) {
    if (d.saved === 'saved' || d.saved === 'new') continue
    api.saveDraft({ id: d.id, call_id: d.call_id, form: { ...d.form }, updated_at: '' }, true).catch(() => undefined)
  }
}

function drop(id: string): void {
  const t = timers.get(id)
  if (t !== undefined) clearTimeout(t)
  timers.delete(id)
  const i = drafts.findIndex((d) => d.id === id)
  if (i < 0) return
  drafts.splice(i, 1)
  if (activeID.value === id) activeID.value = drafts[Math.min(i, drafts.length - 1)]?.id ?? ''
}

// closeDraft throws a draft away.
export async function closeDraft(id: string): Promise<void> {
  const d = drafts.find((x) => x.id === id)
  if (!d) return
  const stored = d.saved !== 'new'
  await settle(id)
  drop(id)
  if (stored) await api.deleteDraft(id).catch(() => undefined) // the server also forgets it by time
}

// submitted forgets a draft that became an order; the server did so with it.
export function submitted(id: string): void {
  drop(id)
}

export const hasText = (d: OpenDraft): boolean => touched(d.form)

if (typeof window !== 'undefined') {
  window.addEventListener('pagehide', flush)
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'hidden') flush()
  })
}
