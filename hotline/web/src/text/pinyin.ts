// Search by what an agent types while listening: a piece of the name, the
// code, or the pinyin initials ("xlj" for 西林街道).

// The first character of each initial in pinyin order; the collator sorts a
// character between two of them. Polyphones get their commonest reading; the
// directory's own initials, where it has them, are tried as well.
const letters = 'abcdefghjklmnopqrstwxyz'
const firsts = '阿八嚓哒妸发旮哈讥咔垃痳拏噢妑七呥扨它穵夕丫帀'
const collator = new Intl.Collator('zh-u-co-pinyin')
const cache = new Map<string, string>()

function initialOf(ch: string): string {
  const known = cache.get(ch)
  if (known !== undefined) return known
  let out = ''
  if (/[a-z0-9]/i.test(ch)) out = ch.toLowerCase()
  else if (/[\u4e00-\u9fff]/.test(ch)) {
    for (let i = firsts.length - 1; i >= 0; i--) {
      if (collator.compare(ch, firsts[i]!) >= 0) {
        out = letters[i]!
        break
      }
    }
  }
  cache.set(ch, out)
  return out
}

// initials writes the first letters of a name, "西林街道" → "xljd".
export function initials(name: string): string {
  let out = ''
  for (const ch of name) out += initialOf(ch)
  return out
}

export interface Searchable {
  name: string
  code?: string
  pinyin?: string
  aliases?: string[]
}

// The ranks of a hit: the whole name, its beginning, a piece of it.
const WHOLE = 0
const BEGIN = 1
const WITHIN = 2
// NO_HIT is the rank of what the typed text does not find.
export const NO_HIT = Infinity

// rank tells how well the typed text names the item, less being better. The
// 市 before an office's name is not typed by anybody: "zjj" begins 市住建局.
// Empty text finds everything alike.
export function rank(item: Searchable, typed: string): number {
  const q = typed.trim().toLowerCase()
  if (q === '') return WHOLE
  const names = [item.name, ...(item.aliases ?? [])].map((n) => n.toLowerCase())
  const words = names.flatMap((n) => (n.length > 2 && n.startsWith('市') ? [n, n.slice(1)] : [n]))
  const code = item.code?.toLowerCase() ?? ''
  if (/^[a-z0-9]+$/.test(q)) words.push(...words.map(initials), ...(item.pinyin ? [item.pinyin.toLowerCase()] : []))
  if (code === q || words.includes(q)) return WHOLE
  if (code.startsWith(q) || words.some((w) => w.startsWith(q))) return BEGIN
  return words.some((w) => w.includes(q)) ? WITHIN : NO_HIT
}

// matches tells whether the typed text finds the item. Empty text finds all.
export const matches = (item: Searchable, typed: string): boolean => rank(item, typed) < NO_HIT

// bestFirst orders what the typed text finds, the best hit first; equal ones
// keep their order.
export function bestFirst<T>(items: readonly T[], typed: string, search: (item: T) => Searchable): T[] {
  return items
    .map((item) => [item, rank(search(item), typed)] as const)
    .filter(([, r]) => r < NO_HIT)
    .sort((a, b) => a[1] - b[1])
    .map(([item]) => item)
}

// onPath tells whether the typed text names beginnings of the labels of a
// path, from any level down to the last: "宣州西林" or "xzxl" for
// 宣州区 / 西林街道.
export function onPath(labels: readonly string[], typed: string): boolean {
  const q = typed.trim().toLowerCase().replace(/\s*\/\s*|\s+/g, '')
  if (q === '' || labels.length === 0) return false
  const words = /^[a-z0-9]+$/.test(q) ? labels.map(initials) : labels.map((l) => l.toLowerCase())
  const fits = (level: number, left: string): boolean => {
    const word = words[level]!
    if (level === words.length - 1) return left !== '' && word.startsWith(left)
    for (let n = Math.min(word.length, left.length); n >= 0; n--) {
      if (word.startsWith(left.slice(0, n)) && fits(level + 1, left.slice(n))) return true
    }
    return false
  }
  return fits(0, q)
}
