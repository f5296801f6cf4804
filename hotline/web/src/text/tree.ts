import type { Searchable } from './pinyin'

// Node is one choice of a cascader or tree.
export interface Node {
  value: string
  label: string
  search: Searchable
  disabled?: boolean
  children?: Node[]
}

interface Item extends Searchable {
  code: string
  parent: string
}

// buildTree joins items to their parents; an item whose parent is not in the
// list stands on top. Order is kept.
export function buildTree(items: Item[]): Node[] {
  const nodes = new Map<string, Node>()
  for (const it of items) nodes.set(it.code, { value: it.code, label: it.name, search: it })
  const top: Node[] = []
  for (const it of items) {
    const node = nodes.get(it.code)!
    const parent = it.parent === '' ? undefined : nodes.get(it.parent)
    if (parent) (parent.children ??= []).push(node)
    else top.push(node)
  }
  return top
}

// pathOf lists the item and what is above it, from the top. A cycle ends it.
export function pathOf<T extends { code: string; parent: string }>(items: Map<string, T>, code: string): T[] {
  const path: T[] = []
  for (let it = items.get(code); it && !path.includes(it); it = items.get(it.parent)) path.unshift(it)
  return path
}

// subtree lists the code and every code below it, the code first.
export function subtree(items: { code: string; parent: string }[], code: string): string[] {
  const below = new Map<string, string[]>()
  for (const it of items) below.set(it.parent, [...(below.get(it.parent) ?? []), it.code])
  const all = [code]
  const known = new Set(all)
  for (const c of all) {
    for (const child of below.get(c) ?? []) {
      if (!known.has(child)) {
        known.add(child)
        all.push(child)
      }
    }
  }
  return all
}
