// The order form: its empty state and what must be filled in before it goes.
import type { OrderForm, Submission } from '../api/types'

export function emptyForm(source = '01'): OrderForm {
  return {
    source, demand_type: '', category_code: '', area_code: '', address: '', title: '', content: '', urgency: 1,
    confidentiality: 'open', caller_name: '', caller_phone: '',
  }
}

// restoreForm fills what an older draft lacks.
export function restoreForm(saved: Partial<OrderForm> | null | undefined): OrderForm {
  return { ...emptyForm(), ...(saved ?? {}) }
}

// touched tells whether anything was typed or chosen.
export function touched(f: OrderForm): boolean {
  return [f.demand_type, f.category_code, f.area_code, f.address, f.title, f.content, f.caller_name, f.caller_phone].some((v) => v.trim() !== '')
}

// checkForm names what is missing, by member.
export function checkForm(f: OrderForm): Record<string, string> {
  const out: Record<string, string> = {}
  if (f.demand_type === '') out.demand_type = '请选择诉求类型'
  if (f.category_code === '') out.category_code = '请选择内容分类'
  if (f.area_code === '') out.area_code = '请选择事发区域'
  if (f.title.trim() === '') out.title = '请填写标题'
  else if ([...f.title.trim()].length > 50) out.title = '标题不超过 50 字'
  if (f.content.trim() === '') out.content = '请填写诉求内容'
  else if ([...f.content.trim()].length > 2000) out.content = '内容不超过 2000 字'
  if (f.caller_phone !== '' && !/^[+\d][\d\- ]{4,18}$/.test(f.caller_phone.trim())) out.caller_phone = '电话号码只能含数字、空格和横线'
  return out
}

// draftTitle names a tab.
export function draftTitle(f: OrderForm): string {
  const t = f.title.trim() || f.content.trim()
  if (t === '') return '新工单'
  const chars = [...t]
  return chars.length > 8 ? `${chars.slice(0, 8).join('')}…` : t
}

// toSubmission makes the body of POST /orders. On a call the number is the
// call's own, unless another was given.
export function toSubmission(draftID: string, callID: string, f: OrderForm): Submission {
  const s: Submission = { ...f, draft_id: draftID, title: f.title.trim(), content: f.content.trim(), address: f.address.trim(), caller_name: f.caller_name.trim(), caller_phone: f.caller_phone.trim() }
  if (callID !== '') s.call_id = callID
  return s
}

// submissionKey is the Idempotency-Key: the same text sent twice (an answer
// got lost) is one order, a corrected text is a new try.
export function submissionKey(s: Submission): string {
  let h = 0x811c9dc5 // FNV-1a, 32 bits: it only tells this draft's tries apart
  for (const ch of JSON.stringify(s)) h = Math.imul(h ^ ch.codePointAt(0)!, 0x01000193) >>> 0
  return `${s.draft_id}-${h.toString(16)}`
}

// uuid makes a random id; crypto.randomUUID exists only on https and localhost.
export function uuid(): string {
  if (typeof crypto.randomUUID === 'function') return crypto.randomUUID()
  const b = crypto.getRandomValues(new Uint8Array(16))
  b[6] = (b[6]! & 0x0f) | 0x40
  b[8] = (b[8]! & 0x3f) | 0x80
  const hex = [...b].map((x) => x.toString(16).padStart(2, '0')).join('')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
