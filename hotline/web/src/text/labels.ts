// The Chinese words for the codes, one table a code.
import type {
  AgentState, ClockKind, Confidentiality, DemandType, LimitUnit, OrderState, Role, Solved, Urgency,
} from '../api/types'

export const roleLabels: Record<Role, string> = {
  agent: '话务员', dispatcher: '派单员', callback: '回访员', unit: '承办单位', leader: '领导', admin: '管理员',
}

export const demandTypes: Record<DemandType, string> = {
  consult: '咨询', help: '求助', complaint: '投诉', report: '举报', suggest: '建议', praise: '表扬', other: '其他',
}

export const urgencies: Record<Urgency, string> = { 1: '一般', 2: '紧急', 3: '特急' }

export const confidentialities: Record<Confidentiality, string> = {
  open: '不保密', hidden: '对承办单位保密', anonymous: '匿名',
}

export const orderStates: Record<OrderState, string> = {
  pending_dispatch: '待派单',
  dispatched: '待签收',
  signed: '办理中',
  pending_callback: '待回访',
  closed: '已办结',
  direct_closed: '直办办结',
}

export const solvedLabels: Record<Solved, string> = {
  yes: '已解决', partly: '部分解决', no: '未解决', explained: '解释说明',
}

// GB/T 39735: five grades, 1 the best.
export const satisfactions: Record<number, string> = {
  1: '非常满意', 2: '满意', 3: '基本满意', 4: '不满意', 5: '非常不满意',
}

export const outcomes: Record<string, string> = {
  direct: '当场答复办结', satisfied: '回访满意', dissatisfied: '回访不满意', unreached: '未回访成功',
}

export const clockKinds: Record<ClockKind, string> = {
  dispatch: '派单时限', sign: '签收时限', contact: '联系时限', resolve: '办理时限', callback: '回访时限',
}

export const limitUnits: Record<LimitUnit, string> = { workday: '个工作日', hour: '小时', minute: '分钟' }

export const agentStates: Record<AgentState, string> = {
  signed_out: '已签出', ready: '示闲', not_ready: '示忙', on_break: '小休', reserved: '预占', ringing: '振铃',
  talking: '通话中', wrap_up: '话后处理',
}

export const stateReasons: Record<string, string> = {
  rona: '未接听来电，系统已示忙', phone_lost: '话机掉线',
}

export const breakReasons = ['用餐', '卫生间', '培训', '派单沟通', '设备故障']

export const endReasons: Record<string, string> = {
  normal: '正常结束', abandoned: '排队放弃', no_agent: '无人应答', no_ack: '信令未确认', media_lost: '语音中断',
  rejected: '被拒绝', node_lost: '系统中断', failed: '系统故障', shutdown: '系统停机', max_length: '超过最长通话',
  agent_lost: '话机掉线', not_offered: '问候中挂机',
}

export const endedBy: Record<string, string> = { caller: '市民', agent: '话务员', system: '系统' }

// label looks a code up and falls back to the code itself, "—" when empty.
export function label(table: Record<string | number, string>, code: string | number | undefined | null): string {
  if (code === undefined || code === null || code === '') return '—'
  return table[code] ?? String(code)
}

// options makes the choices of a select from a table.
export function options<K extends string>(table: Record<K, string>): { value: K; label: string }[] {
  return (Object.entries(table) as [K, string][]).map(([value, text]) => ({ value, label: text }))
}
