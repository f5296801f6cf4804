// Every call of the API the pages make, one line each.
import { http } from './client'
import type {
  CallbackInput, CallCard, CallList, Call, Deadline, DirectoryData, Draft, Floor, Me, OrderEvent, OrderList,
  OrderPageData, Plan, Principal, ReplyInput, Report, RevealedCaller, Submission, WorkOrder,
} from './types'

type Query = Record<string, string | number | boolean | undefined | null>

const enc = encodeURIComponent

export const api = {
  login: (login: string, password: string) =>
    http.post<Principal>('/login', { login, password }, { quiet401: true }),
  logout: () => http.post<void>('/logout', {}, { quiet401: true }),
  me: () => http.get<Me>('/me', {}, { quiet401: true }),
  directory: () => http.get<DirectoryData>('/directory'),

  orders: (q: Query) => http.get<OrderList>('/orders', q),
  order: (id: string) => http.get<OrderPageData>(`/orders/${enc(id)}`),
  timeline: async (id: string) => (await http.get<{ events: OrderEvent[] | null }>(`/orders/${enc(id)}/timeline`)).events ?? [],
  submit: (s: Submission, key: string) =>
    http.post<WorkOrder>('/orders', s, { headers: { 'Idempotency-Key': key } }),
  dispatch: (id: string, b: { version: number; lead: string; co_units: string[]; reason: string }) =>
    http.post<WorkOrder>(`/orders/${enc(id)}/dispatch`, b),
  sign: (id: string, version: number) => http.post<WorkOrder>(`/orders/${enc(id)}/sign`, { version }),
  reply: (id: string, b: ReplyInput) => http.post<WorkOrder>(`/orders/${enc(id)}/reply`, b),
  callback: (id: string, b: CallbackInput) => http.post<WorkOrder>(`/orders/${enc(id)}/callback`, b),
  reveal: (id: string, reason: string) => http.post<RevealedCaller>(`/orders/${enc(id)}/reveal`, { reason }),

  drafts: async () => (await http.get<{ drafts: Draft[] | null }>('/drafts')).drafts ?? [],
  saveDraft: (d: Draft, keepalive = false) =>
    http.put<Draft>(`/drafts/${enc(d.id)}`, { id: d.id, call_id: d.call_id, form: d.form }, { keepalive }),
  deleteDraft: (id: string) => http.del(`/drafts/${enc(id)}`),

  floor: () => http.get<Floor>('/floor'),
  setState: (state: string, reason: string) => http.post<unknown>('/floor/state', { state, reason }),
  signIn: () => http.post<unknown>('/floor/signin'),
  signOut: () => http.post<unknown>('/floor/signout'),
  hangup: (callID: string) => http.post<unknown>(`/calls/${enc(callID)}/hangup`),

  calls: (q: Query) => http.get<CallList>('/calls', q),
  call: (id: string) => http.get<Call>(`/calls/${enc(id)}`),
  card: (id: string) => http.get<CallCard>(`/calls/${enc(id)}/card`),
  recordingURL: (id: string) => `/api/v1/calls/${enc(id)}/recording`,

  plan: (q: { category: string; area: string; text: string }) => http.get<Plan>('/plan', q),
  deadlines: async (q: Query) => (await http.get<{ deadlines: Deadline[] | null }>('/deadline-preview', q)).deadlines ?? [],

  reports: async () => (await http.get<{ reports: Report[] | null }>('/reports', { kind: 'daily' })).reports ?? [],
  makeDaily: (date: string) => http.post<Report>('/reports/daily', { date }),
  report: (id: string) => http.get<Report>(`/reports/${enc(id)}`),
  reportHTML: (id: string) => http.text(`/reports/${enc(id)}/html`),
}
