// News of orders for a list that is read, not worked off.
import { computed, ref, type ShallowRef } from 'vue'
import type { WorkOrder } from '../api/types'
import { useLive } from '../live'
import { directory } from './directory'
import { has, principal } from './session'
import { subtree } from '../text/tree'

const MAX_TOPICS = 200 // the server takes 256 of one page

// useNews keeps the rows of items up to date in place and tells by news that
// something happened since seen() which only a new reading shows.
export function useNews(items: ShallowRef<WorkOrder[]>) {
  const news = ref(false)
  const unit = computed(() => principal.value?.unit_code ?? '')
  const topics = () => {
    if (!principal.value) return []
    if (!has('unit')) return ['orders']
    return unit.value === '' ? [] : subtree(directory.value.units, unit.value).slice(0, MAX_TOPICS).map((c) => `unit:${c}`)
  }
  useLive(topics, (e) => {
    if (e.type === 'reset') news.value = true
    if (e.type !== 'event' || !e.kind.startsWith('order.')) return
    news.value = true
    const o = (e.data as { order?: WorkOrder } | null)?.order
    if (!o || !items.value.some((x) => x.id === o.id && x.version < o.version)) return
    // The message is for units and leaves the caller out: that stays as read.
    items.value = items.value.map((x) => (x.id === o.id ? { ...o, person_id: x.person_id, caller_last4: x.caller_last4 } : x))
  })
  const seen = () => {
    news.value = false
  }
  return { news, seen }
}
