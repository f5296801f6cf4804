// A list that is read page by page and read again when something changed.
import { computed, ref, shallowRef } from 'vue'
import { asApiError, type ApiError } from '../api/problem'

export interface Page<T> {
  items: T[]
  next: string
  total?: number | undefined
}

const HIGHLIGHT_MS = 5000
const RELOAD_MS = 250

// useList keeps the rows, what is loading and what went wrong. key names a
// row; rows that appear on a reload are fresh for some seconds.
export function useList<T>(fetchPage: (cursor: string, limit: number) => Promise<Page<T>>, key: (row: T) => string, pageSize = 50) {
  const items = shallowRef<T[]>([])
  const next = ref('')
  const total = ref<number | undefined>()
  const loading = ref(false)
  const loaded = ref(false)
  const error = shallowRef<ApiError | null>(null)
  const fresh = ref(new Set<string>())
  let run = 0
  let timer: ReturnType<typeof setTimeout> | null = null

  function mark(rows: T[]) {
    const added = rows.map(key)
    if (added.length === 0) return
    fresh.value = new Set([...fresh.value, ...added])
    setTimeout(() => {
      const left = new Set(fresh.value)
      for (const k of added) left.delete(k)
      fresh.value = left
    }, HIGHLIGHT_MS)
  }

  async function read(cursor: string, limit: number, then: (p: Page<T>) => void) {
    const mine = ++run
    loading.value = true
    try {
      const p = await fetchPage(cursor, limit)
      if (mine !== run) return
      then(p)
      next.value = p.next
      if (p.total !== undefined) total.value = p.total
      error.value = null
      loaded.value = true
    } catch (e) {
      if (mine === run) error.value = asApiError(e)
    } finally {
      if (mine === run) loading.value = false
    }
  }

  // load reads from the start; quiet keeps the rows and marks the new ones.
  const load = (quiet = false) => {
    if (!quiet) loaded.value = false
    const limit = quiet ? Math.min(Math.max(pageSize, items.value.length), 200) : pageSize
    return read('', limit, (p) => {
      if (quiet) {
        const known = new Set(items.value.map(key))
        mark(p.items.filter((r) => !known.has(key(r))))
      }
      items.value = p.items
    })
  }

  const more = () => {
    if (next.value === '' || loading.value) return Promise.resolve()
    return read(next.value, pageSize, (p) => {
      const known = new Set(items.value.map(key))
      items.value = [...items.value, ...p.items.filter((r) => !known.has(key(r)))]
    })
  }

  // reloadSoon gathers a burst of events into one quiet load.
  const reloadSoon = () => {
    if (timer !== null) return
    timer = setTimeout(() => {
      timer = null
      void load(true)
    }, RELOAD_MS)
  }

  const empty = computed(() => loaded.value && items.value.length === 0)
  return { items, next, total, loading, loaded, error, fresh, empty, load, more, reloadSoon }
}
