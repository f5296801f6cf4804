// One open order with its story, kept fresh by its topic.
import { ref, shallowRef, watch } from 'vue'
import { api } from '../api'
import { asApiError, type ApiError } from '../api/problem'
import type { Call, OrderEvent, OrderPageData, WorkOrder } from '../api/types'
import { useLive } from '../live'
import { has } from './session'

export function useOrder(id: () => string) {
  const order = shallowRef<OrderPageData | null>(null)
  const events = shallowRef<OrderEvent[]>([])
  const call = shallowRef<Call | null>(null)
  const loading = ref(false)
  const error = shallowRef<ApiError | null>(null)
  let run = 0

  async function load() {
    const wanted = id()
    const mine = ++run
    if (wanted === '') {
      order.value = null
      return
    }
    loading.value = true
    try {
      const [o, list] = await Promise.all([api.order(wanted), api.timeline(wanted)])
      if (mine !== run) return
      order.value = o
      events.value = list
      error.value = null
      if (o.call_id && call.value?.id !== o.call_id && has('agent', 'dispatcher', 'callback', 'leader', 'admin')) {
        // An agent may not see a colleague's call; the order stands without it.
        call.value = await api.call(o.call_id).catch(() => null)
      }
    } catch (e) {
      if (mine === run) error.value = asApiError(e)
    } finally {
      if (mine === run) loading.value = false
    }
  }

  // take shows what a command answered, then reads the rest.
  function take(o: WorkOrder) {
    if (order.value?.id === o.id) order.value = { ...o, caller: order.value.caller ?? null }
    void load()
  }

  watch(
    id,
    () => {
      order.value = null
      events.value = []
      call.value = null
      error.value = null
      void load()
    },
    { immediate: true },
  )
  useLive(
    () => (id() === '' ? [] : [`order:${id()}`]),
    () => void load(),
  )
  return { order, events, call, loading, error, load, take }
}
