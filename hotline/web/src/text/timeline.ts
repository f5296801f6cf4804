// One event of an order, told in Chinese. The data shapes are those of
// package workorder (events.go).
import type { Assignment, Deadline, DemandType, OrderEvent, Reason, Solved } from '../api/types'
import { clockKinds, confidentialities, demandTypes, label, limitUnits, outcomes, satisfactions, solvedLabels, urgencies } from './labels'
import { dateTime, endTime } from './time'

export interface Names {
  unit(code: string): string
  category(code: string): string
  area(code: string): string
  source(code: string): string
}

export interface Line {
  name: string
  text: string
}

export interface Told {
  title: string
  tone: 'primary' | 'success' | 'warning' | 'danger' | 'info'
  lines: Line[]
}

interface EventData {
  demand_type?: DemandType
  source?: string
  category_code?: string
  area_code?: string
  address?: string
  urgency?: number
  confidentiality?: string
  assignments?: Assignment[] | null
  reason?: Reason
  unit_code?: string
  role?: string
  answer?: string
  text?: string
  solved?: Solved
  contacted_at?: string | null
  try?: number
  satisfaction?: number
  note?: string
  outcome?: string
  before?: Deadline
  after?: Deadline
  clocks_started?: Deadline[]
  clocks_stopped?: { kind: Deadline['kind']; at: string; outcome: string }[]
}

const titles: Record<string, [string, Told['tone']]> = {
  submitted: ['登记受理', 'primary'],
  direct_answered: ['当场答复', 'success'],
  unmatched: ['转人工派单', 'warning'],
  dispatched: ['派单', 'primary'],
  signed: ['签收', 'primary'],
  replied: ['答复', 'success'],
  callback_failed: ['回访未接通', 'warning'],
  callback_done: ['回访完成', 'success'],
  closed: ['办结', 'success'],
  deadline_moved: ['时限重算', 'info'],
}

// deadlineText writes "办理时限 5 个工作日，截止 2026-11-30 24:00（暂定…）".
export function deadlineText(d: Pick<Deadline, 'kind' | 'amount' | 'unit' | 'due_at' | 'provisional'>): string {
  const limit = d.amount > 0 ? ` ${d.amount} ${label(limitUnits, d.unit)}` : ''
  return `${label(clockKinds, d.kind)}${limit}，截止 ${endTime(d.due_at)}${d.provisional ? '（暂定：年度放假安排尚未公布）' : ''}`
}

function reasonLine(r: Reason): Line[] {
  if (!r.text && !r.rule) return []
  const version = r.catalogue_version > 0 ? `第 ${r.catalogue_version} 版` : ''
  const known = r.rule && r.text.includes(r.rule) // the sentence names its rule already
  const parts = [known ? '' : r.rule, version].filter(Boolean)
  const rule = r.rule && parts.length > 0 ? `（派单目录${known ? '' : ' '}${parts.join('，')}）` : ''
  return [{ name: r.kind === 'manual' ? '人工派单理由' : '派单依据', text: `${r.text}${rule}` }]
}

function details(e: OrderEvent, d: EventData, n: Names): Line[] {
  switch (e.kind) {
    case 'submitted':
      return [
        { name: '渠道', text: n.source(d.source ?? '') },
        { name: '诉求类型', text: label(demandTypes, d.demand_type) },
        { name: '内容分类', text: n.category(d.category_code ?? '') },
        { name: '事发区域', text: [n.area(d.area_code ?? ''), d.address].filter((s) => s && s !== '—').join(' ') },
        { name: '紧急程度', text: (d.urgency ?? 1) > 1 ? label(urgencies, d.urgency) : '' },
        { name: '保密要求', text: d.confidentiality === 'open' ? '' : label(confidentialities, d.confidentiality) },
      ]
    case 'unmatched':
      return d.reason ? [{ name: '原因', text: d.reason.text }] : []
    case 'dispatched': {
      const all = d.assignments ?? []
      const lead = all.find((a) => a.role === 'lead')
      return [
        { name: '主办', text: lead ? n.unit(lead.unit_code) : '' },
        { name: '协办', text: all.filter((a) => a.role === 'co').map((a) => n.unit(a.unit_code)).join('、') },
        ...(lead ? reasonLine(lead.reason) : []),
      ]
    }
    case 'signed':
      return [{ name: d.role === 'co' ? '协办单位' : '主办单位', text: n.unit(d.unit_code ?? '') }]
    case 'direct_answered':
    case 'replied':
      return [
        { name: '答复单位', text: e.kind === 'replied' ? n.unit(d.unit_code ?? '') : '' },
        { name: '答复内容', text: d.text ?? d.answer ?? '' },
        { name: '办理结果', text: label(solvedLabels, d.solved) },
        { name: '联系诉求人', text: dateTime(d.contacted_at) },
      ]
    case 'callback_failed':
      return [{ name: '次数', text: `第 ${d.try ?? 1} 次` }, { name: '备注', text: d.note ?? '' }]
    case 'callback_done':
      return [
        { name: '满意度', text: label(satisfactions, d.satisfaction) },
        { name: '诉求人认为', text: label(solvedLabels, d.solved) },
        { name: '备注', text: d.note ?? '' },
      ]
    case 'closed':
      return [{ name: '结果', text: label(outcomes, d.outcome) }]
    case 'deadline_moved':
      return [
        { name: '原时限', text: d.before ? deadlineText(d.before) : '' },
        { name: '新时限', text: d.after ? deadlineText(d.after) : '' },
      ]
  }
  return []
}

// tell writes what happened. Members without a value are left out.
export function tell(e: OrderEvent, n: Names): Told {
  const [title, tone] = titles[e.kind] ?? ['其他操作', 'info']
  const d = (e.data ?? {}) as EventData
  const lines = details(e, d, n)
  for (const c of d.clocks_started ?? []) lines.push({ name: '起算', text: deadlineText(c) })
  for (const c of d.clocks_stopped ?? []) {
    const word = c.outcome === 'breached' ? '已超期' : c.outcome === 'cancelled' ? '已取消' : '按时完成'
    lines.push({ name: '止算', text: `${label(clockKinds, c.kind)}：${word}` })
  }
  const late = (d.clocks_stopped ?? []).some((c) => c.outcome === 'breached')
  return { title, tone: late ? 'danger' : tone, lines: lines.filter((l) => l.text !== '' && l.text !== '—') }
}
