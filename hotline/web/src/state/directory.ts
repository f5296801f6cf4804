// Units, places, categories and channels, loaded once, with the trees the
// pickers need.
import { computed, shallowRef } from 'vue'
import { api } from '../api'
import type { DirectoryData, Unit } from '../api/types'
import { buildTree, pathOf, type Node } from '../text/tree'

const empty: DirectoryData = { version: 0, units: [], areas: [], categories: [], sources: [], lines: [] }

export const directory = shallowRef<DirectoryData>(empty)

let loading: Promise<void> | null = null

// loadDirectory loads it once; a failure may be tried again.
export function loadDirectory(): Promise<void> {
  loading ??= api
    .directory()
    .then((d) => {
      directory.value = {
        version: d.version,
        units: d.units ?? [],
        areas: d.areas ?? [],
        categories: d.categories ?? [],
        sources: d.sources ?? [],
        lines: d.lines ?? [],
      }
    })
    .catch((e: unknown) => {
      loading = null
      throw e
    })
  return loading
}

const byCode = <T extends { code: string }>(list: T[]) => new Map(list.map((x) => [x.code, x]))

const units = computed(() => byCode(directory.value.units))
const areas = computed(() => byCode(directory.value.areas))
const categories = computed(() => byCode(directory.value.categories))
const sources = computed(() => byCode(directory.value.sources))

export const areaTree = computed(() => buildTree(directory.value.areas))
export const categoryTree = computed(() => buildTree(directory.value.categories))

const groupNames: [string, (u: Unit) => boolean][] = [
  ['市直单位', (u) => u.kind === 'department'],
  ['县市区', (u) => u.kind === 'county'],
  ['公共服务企业', (u) => u.kind === 'enterprise'],
]

// unitTree holds every unit that can get an order, grouped by kind on top.
export const unitTree = computed<Node[]>(() => {
  const list = directory.value.units
  const withNames = list.map((u) => ({ ...u, name: u.short || u.name, aliases: [u.name, ...(u.aliases ?? [])] }))
  const tree = buildTree(withNames.filter((u) => u.kind !== 'center'))
  return groupNames
    .map(([name, of]) => ({
      value: `#${name}`,
      label: name,
      disabled: true,
      search: { name },
      children: tree.filter((n) => of(units.value.get(n.value)!)),
    }))
    .filter((g) => g.children.length > 0)
})

export const unitName = (code: string): string => {
  const u = units.value.get(code)
  return u ? u.short || u.name : code || '—'
}
export const areaName = (code: string): string =>
  pathOf(areas.value, code).map((a) => a.name).join('') || code || '—'
export const categoryName = (code: string): string =>
  pathOf(categories.value, code).map((k) => k.name).join(' / ') || code || '—'
export const categoryLeafName = (code: string): string => categories.value.get(code)?.name ?? code ?? '—'
export const categoryUrgency = (code: string): number => categories.value.get(code)?.urgency || 1
export const sourceName = (code: string): string => sources.value.get(code)?.name ?? (code || '—')
