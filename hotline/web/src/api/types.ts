// The JSON of /api/v1 and /ws, as package hotline (Go) marshals it. Instants
// are RFC 3339 strings in UTC; ids are decimal strings; phone numbers come
// masked and are only ever whole in RevealedCaller.

export type Role = 'agent' | 'dispatcher' | 'callback' | 'unit' | 'leader' | 'admin'

export interface Principal {
  id: string
  login: string
  name: string
  unit_code: string
  roles: Role[]
  extension?: string
}

export interface Me {
  principal: Principal
  seat: { extension: string } | null
  server_time: string
  ws_pos: number
}

export type UnitKind = 'center' | 'department' | 'county' | 'township' | 'village' | 'enterprise'

export interface Unit {
  code: string
  parent: string
  kind: UnitKind
  name: string
  short: string
  aliases?: string[]
  area_code?: string
  duties?: string
}

export interface Area {
  code: string
  parent: string
  name: string
  pinyin: string
}

export interface Category {
  code: string
  parent: string
  name: string
  pinyin: string
  urgency: Urgency | 0
  keywords?: string[]
}

export interface Source {
  code: string
  name: string
  kind: string
  reply_to: string
}

export interface Line {
  number: string
  name: string
  source: string
}

export interface DirectoryData {
  version: number
  units: Unit[]
  areas: Area[]
  categories: Category[]
  sources: Source[]
  lines: Line[]
}

export type DemandType = 'consult' | 'help' | 'complaint' | 'report' | 'suggest' | 'praise' | 'other'
export type Urgency = 1 | 2 | 3
export type Confidentiality = 'open' | 'hidden' | 'anonymous'
export type OrderState =
  | 'pending_dispatch'
  | 'dispatched'
  | 'signed'
  | 'pending_callback'
  | 'closed'
  | 'direct_closed'
export type Solved = 'yes' | 'partly' | 'no' | 'explained'
export type ClockKind = 'dispatch' | 'sign' | 'contact' | 'resolve' | 'callback'
export type LimitUnit = 'workday' | 'hour' | 'minute'

export interface Reason {
  kind: 'rule' | 'manual' | ''
  rule?: string
  catalogue_version: number
  category?: string
  area?: string
  text: string
}

export interface Assignment {
  id: string
  unit_code: string
  role: 'lead' | 'co'
  reason: Reason
  sent_at: string
  signed_at: string | null
  ended_at: string | null
}

export interface Deadline {
  kind: ClockKind
  policy: string
  amount: number
  unit: LimitUnit
  calendar_version: number
  started_at: string
  due_at: string
  warn_at: string
  provisional: boolean
  stopped_at: string | null
  outcome?: 'met' | 'breached' | 'cancelled' | ''
}

export interface WorkOrder {
  id: string
  number: string
  version: number
  state: OrderState
  demand_type: DemandType
  source: string
  category_code: string
  area_code: string
  address: string
  title: string
  content: string
  urgency: Urgency
  confidentiality: Confidentiality
  person_id: string
  caller_last4: string
  call_id?: string
  agent_id: string
  assignments: Assignment[] | null
  deadlines: Deadline[] | null
  answer: string
  solved?: Solved
  satisfaction: number
  callback_tries: number
  outcome?: string
  accepted_at: string
  replied_at: string | null
  closed_at: string | null
}

export interface CallerInfo {
  person_id: string
  name_masked: string
  phone_masked: string
}

// OrderPageData is one order with its caller, who is null when this account
// may not know him.
export type OrderPageData = WorkOrder & { caller?: CallerInfo | null }

export type EventKind =
  | 'submitted'
  | 'direct_answered'
  | 'unmatched'
  | 'dispatched'
  | 'signed'
  | 'replied'
  | 'callback_failed'
  | 'callback_done'
  | 'closed'
  | 'deadline_moved'

export interface OrderEvent {
  order_id: string
  seq: number
  kind: EventKind
  at: string
  actor: string
  actor_name?: string
  unit_code: string
  audience: 'center' | 'units' | 'citizen'
  data: unknown
}

export interface OrderList {
  orders: WorkOrder[] | null
  next?: string
  total?: number | null
}

export interface Call {
  id: string
  caller: string
  person_id: string
  original_number: string
  line: string
  source: string
  trunk: string
  arrived_at: string
  queued_at: string | null
  offered_at: string | null
  answered_at: string | null
  ended_at: string | null
  agent_id: string
  extension: string
  ended_by: string
  end_reason: string
  has_recording: boolean
  recording_ms: number
}

export interface CallList {
  calls: Call[] | null
  next?: string
  total?: number | null
}

export interface CallCard {
  call: Call
  person: CallerInfo | null
  orders: WorkOrder[] | null
}

export type AgentState =
  | 'signed_out'
  | 'ready'
  | 'not_ready'
  | 'on_break'
  | 'reserved'
  | 'ringing'
  | 'talking'
  | 'wrap_up'

export interface Agent {
  id: string
  name: string
  extension: string
  state: AgentState
  reason?: string
  since: string
  deadline: string | null
  call_id?: string
  phone_registered: boolean
  version: number
}

export interface WaitingCall {
  id: string
  caller: string
  original_number: string
  since: string
  state: 'waiting' | 'offered' | 'talking'
  agent_id: string
  node: string
}

export interface FloorSnapshot {
  at: string
  waiting: WaitingCall[] | null
  agents: Agent[] | null
}

export interface FloorToday {
  offered?: number
  answered?: number
  abandoned?: number
  [figure: string]: number | undefined
}

export type Floor = FloorSnapshot & { today?: FloorToday }

// OrderForm is the order as the agent types it: the body of a draft and,
// with draft_id and call_id, of a Submission.
export interface OrderForm {
  source: string
  demand_type: DemandType | ''
  category_code: string
  area_code: string
  address: string
  title: string
  content: string
  urgency: Urgency
  confidentiality: Confidentiality
  caller_name: string
  caller_phone: string
}

export interface Submission extends OrderForm {
  draft_id: string
  call_id?: string
  direct_answer?: string
  solved?: Solved
}

export interface Draft {
  id: string
  call_id: string
  form: Partial<OrderForm>
  updated_at: string
}

export interface Plan {
  lead: string
  lead_name?: string
  co_units: string[] | null
  reason: Reason
}

export interface ReplyInput {
  version: number
  text: string
  solved: Solved
  contacted_at: string | null
}

export interface CallbackInput {
  version: number
  reached: boolean
  satisfaction?: number
  solved?: Solved
  note: string
}

export interface RevealedCaller {
  name: string
  phone: string
}

// Report is one issue of a document (package hotline: Issue), without figures.
export interface Report {
  id: string
  kind: string
  date: string
  title: string
  number: string
  made_at: string
  final: boolean
}

// Problem is RFC 9457 with our code and the faults by member.
export interface Problem {
  type?: string
  title?: string
  status: number
  detail?: string
  code?: string
  errors?: { field?: string; location?: string; message: string }[]
  current?: WorkOrder
  since?: OrderEvent[]
}

// PhoneStep is what the agent's own phone does, straight from the floor.
export interface PhoneStep {
  agent: Agent
  call: WaitingCall | null
}

export type ServerMessage =
  | { type: 'hello'; pos: number; at: string }
  | { type: 'event'; pos: number; kind: string; topics: string[]; data: unknown; at?: string }
  | { type: 'floor'; data: FloorSnapshot }
  | { type: 'call'; data: PhoneStep }
  | { type: 'reset'; pos?: number }
  | { type: 'denied'; topic: string }
  | { type: 'ping' }
