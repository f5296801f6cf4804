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

// matches tells whether the typed text finds the item. Empty text finds all.
export function matches(item: Searchable, typed: string): boolean {
  const q = typed.trim().toLowerCase()
  if (q === '') return true
  if (item.code?.toLowerCase().startsWith(q)) return true
  const names = [item.name, ...(item.aliases ?? [])]
  if (names.some((n) => n.toLowerCase().includes(q))) return true
  if (!/^[a-z0-9]+$/.test(q)) return false
  if (item.pinyin?.toLowerCase().includes(q)) return true
  return names.some((n) => initials(n).includes(q))
}
