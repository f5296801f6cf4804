import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { satisfactionIDs } from './testids'

const root = join(import.meta.dirname)
const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((f) => f.endsWith('.vue'))
const sources = files.map((f) => readFileSync(join(root, f), 'utf8')).join('\n')
const lines = readFileSync(join(root, 'testids.ts'), 'utf8').split('\n').filter((l) => l.startsWith('//   '))

// The names at the start of each line of the list, before their explanation.
const listed = lines.flatMap((l) => l.slice(5).split(/ {2,}|[\u4e00-\u9fff(;：]|, then|: /)[0]!.match(/[a-z]+(-[a-z0-9]+)*(-<[^>]+>)?/g) ?? [])
const known = new Set(Object.values(satisfactionIDs))

describe('testids.ts', () => {
  it('lists many names', () => expect(listed.length).toBeGreaterThan(60))
  it.each([...new Set(listed)])('%s stands in a page', (id) => {
    const fixed = id.replace(/<.*/, '')
    expect(known.has(id) || sources.includes(fixed)).toBe(true)
  })
})
