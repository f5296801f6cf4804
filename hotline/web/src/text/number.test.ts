import { describe, expect, it } from 'vitest'
import { checkDigit, orderIDOf, withoutNumbers } from './number'

describe('order numbers', () => {
  // ISO/IEC 7064: the standard's own example for MOD 11,10 is 0794 with check digit 5.
  it('follows ISO/IEC 7064 MOD 11,10', () => expect(checkDigit('0794')).toBe('5'))
  it('reads a printed number and notices every wrong digit', () => {
    const id = '202611230000001'
    const printed = id + checkDigit(id)
    expect(orderIDOf(` ${printed.slice(0, 8)} ${printed.slice(8)}`)).toBe(id)
    for (let i = 0; i < 16; i++) {
      const wrong = printed.slice(0, i) + String((Number(printed[i]) + 1) % 10) + printed.slice(i + 1)
      expect(orderIDOf(wrong), wrong).toBe('')
    }
    expect(orderIDOf('123')).toBe('')
  })
})

describe('withoutNumbers', () => {
  it.each([
    ['联系13812345678谢谢', '联系谢谢'], ['电话 0563-3021234', '电话 '], ['身份证 342501199001011234', '身份证 '], ['88号3栋', '88号3栋'], ['2026年', '2026年'],
  ])('%s becomes %s', (text, want) => expect(withoutNumbers(text)).toBe(want))
})
