// What a colleague changed between the order on the page and the one on the server.
import type { WorkOrder } from '../api/types'
import { label, orderStates, urgencies } from './labels'

export interface Change {
  name: string
  before: string
  after: string
}

// The lead stays the lead when its answer has ended its task.
const lead = (o: WorkOrder) => (o.assignments ?? []).filter((a) => a.role === 'lead').at(-1)?.unit_code ?? ''

const compared: [string, (o: WorkOrder) => string][] = [
  ['状态', (o) => label(orderStates, o.state)],
  ['主办单位', lead],
  ['标题', (o) => o.title],
  ['内容', (o) => o.content],
  ['地址', (o) => o.address],
  ['内容分类', (o) => o.category_code],
  ['紧急程度', (o) => label(urgencies, o.urgency)],
  ['答复', (o) => o.answer],
]

// changes lists what differs, by its Chinese name. unit writes unit codes.
export function changes(mine: WorkOrder, current: WorkOrder, unit: (code: string) => string = (c) => c): Change[] {
  const out: Change[] = []
  for (const [name, read] of compared) {
    const [a, b] = [read(mine), read(current)]
    if (a === b) continue
    const show = (v: string) => (v === '' ? '（无）' : name === '主办单位' ? unit(v) : v)
    out.push({ name, before: show(a), after: show(b) })
  }
  return out
}
