import { describe, expect, it } from 'vitest'
import type { WorkOrder } from './types'
import { ApiError, asApiError, fieldName, offlineError } from './problem'

describe('problem documents (RFC 9457)', () => {
  it.each([['title', 'title'], ['body.title', 'title'], ['order.category_code', 'category_code'], ['/co_units/0', 'co_units'], ['', '']])('path %s names %s', (path, want) => expect(fieldName(path)).toBe(want))

  it('puts each fault beside its member, in Chinese', () => {
    const e = new ApiError({ status: 422, detail: 'validation failed', errors: [{ field: 'body.title', message: '请填写标题' }, { location: 'body.area_code', message: 'required' }, { field: 'title', message: '第二个' }] })
    expect(e.fields).toEqual({ title: '请填写标题', area_code: '填写有误' })
    expect(e.message).toBe('请填写标题')
  })
  it.each([
    [{ status: 403, detail: '只有派单员可以派单' }, '只有派单员可以派单'], [{ status: 403 }, '您没有此项权限'], [{ status: 404, detail: 'not found' }, '没有找到，或您无权查看'],
    [{ status: 500, detail: 'pq: connection refused' }, '系统出现故障，请稍后再试或联系管理员'], [{ status: 418 }, '操作未成功，请重试'],
  ])('%j reads %s', (p, want) => expect(new ApiError(p).message).toBe(want))

  it('is stale only when the answer says what changed', () => {
    expect(new ApiError({ status: 409 }).stale).toBe(false)
    expect(new ApiError({ status: 409, current: { id: '1' } as WorkOrder }).stale).toBe(true)
  })
  it('tells a lost network from a fault of ours', () => {
    expect(offlineError().offline).toBe(true)
    expect(asApiError(new TypeError('x is not a function')).message).not.toContain('function')
  })
})
