// checkDigit is ISO/IEC 7064 MOD 11,10, the last digit of a printed order number.
export function checkDigit(digits: string): string {
  let p = 10
  for (const ch of digits) {
    let s = (p + Number(ch)) % 10
    if (s === 0) s = 10
    p = (s * 2) % 11
  }
  return String((11 - p) % 10)
}

// orderIDOf reads a printed number of 16 digits, spaces allowed, and returns
// the id, or "" when the check digit tells of a slip.
export function orderIDOf(typed: string): string {
  const n = typed.replace(/\s/g, '')
  if (!/^\d{16}$/.test(n)) return ''
  return checkDigit(n.slice(0, 15)) === n[15] ? n.slice(0, 15) : ''
}

// withoutNumbers leaves long runs of digits out of a text that goes into an
// address: they may be somebody's telephone or identity number.
export function withoutNumbers(text: string): string {
  return text.replace(/\d[\d\s-]{4,}\d/g, '')
}
