import type { OrderEvent, Problem, WorkOrder } from './types'

// Offline is the code of a request that got no answer at all.
export const OFFLINE = 'offline'

const byStatus: Record<number, string> = {
  400: '请求有误，请检查后重试',
  401: '登录已失效，请重新登录',
  403: '您没有此项权限',
  404: '没有找到，或您无权查看',
  409: '内容已被他人更新，请核对后再提交',
  413: '内容过长，请精简后重试',
  422: '填写的内容有误，请按提示修改',
  429: '操作过于频繁，请稍后再试',
  502: '服务暂时不可用，请稍后再试',
  503: '服务暂时不可用，请稍后再试',
  504: '服务响应超时，请稍后再试',
}

// ApiError is every failure a page sees. message is Chinese and fit to show;
// fields maps a member's name to what is wrong with it.
export class ApiError extends Error {
  readonly status: number
  readonly code: string
  readonly fields: Record<string, string>
  readonly current: WorkOrder | undefined
  readonly since: OrderEvent[]

  constructor(p: Problem) {
    super(problemText(p))
    this.name = 'ApiError'
    this.status = p.status
    this.code = p.code ?? ''
    this.fields = problemFields(p)
    this.current = p.current
    this.since = p.since ?? []
  }

  // stale tells whether somebody changed the order first and the answer says how.
  get stale(): boolean {
    return this.status === 409 && this.current !== undefined
  }

  get offline(): boolean {
    return this.code === OFFLINE
  }
}

// offlineError is made when fetch itself fails.
export function offlineError(): ApiError {
  return new ApiError({ status: 0, code: OFFLINE, detail: '网络已断开，内容已保留在本页，恢复后可重试' })
}

// fieldName reduces a path such as "body.order.title" or "/title" to "title".
export function fieldName(path: string): string {
  const parts = path.split(/[./]/).filter((p) => p !== '' && !/^\d+$/.test(p))
  return parts.at(-1) ?? ''
}

function isChinese(s: string | undefined): s is string {
  return s !== undefined && /[\u4e00-\u9fff]/.test(s)
}

// problemFields returns the first fault of each member.
export function problemFields(p: Problem): Record<string, string> {
  const out: Record<string, string> = {}
  for (const e of p.errors ?? []) {
    const name = fieldName(e.field ?? e.location ?? '')
    if (name !== '' && !(name in out)) out[name] = isChinese(e.message) ? e.message : '填写有误'
  }
  return out
}

// problemText is the sentence for the person: the server's own when it is
// Chinese, else one for the status.
export function problemText(p: Problem): string {
  if (isChinese(p.detail)) return p.detail
  const first = Object.values(problemFields(p))[0]
  if (first !== undefined && isChinese(first) && first !== '填写有误') return first
  if (isChinese(p.title)) return p.title
  return byStatus[p.status] ?? (p.status >= 500 ? '系统出现故障，请稍后再试或联系管理员' : '操作未成功，请重试')
}

// asApiError turns anything thrown into an ApiError.
export function asApiError(e: unknown): ApiError {
  if (e instanceof ApiError) return e
  return new ApiError({ status: 500, code: 'internal' })
}
