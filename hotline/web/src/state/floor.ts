// The floor as this page sees it: the queue, the agents, today's figures.
import { computed, ref, shallowRef } from 'vue'
import { api } from '../api'
import { asApiError, type ApiError } from '../api/problem'
import type { Agent, FloorSnapshot, FloorToday } from '../api/types'
import { useLive } from '../live'
import { principal } from './session'

const FIGURES_MS = 15_000

export function useFloor() {
  const snapshot = shallowRef<FloorSnapshot | null>(null)
  const today = shallowRef<FloorToday>({})
  const error = shallowRef<ApiError | null>(null)
  const busy = ref(false)
  let timer: ReturnType<typeof setInterval> | null = null

  async function load() {
    try {
      const f = await api.floor()
      take(f)
      today.value = f.today ?? {}
      error.value = null
    } catch (e) {
      error.value = asApiError(e)
    }
  }
  // take keeps the newest snapshot: one read by HTTP may be older than one pushed.
  function take(f: FloorSnapshot) {
    if (!snapshot.value || Date.parse(f.at) >= Date.parse(snapshot.value.at)) snapshot.value = f
  }
  useLive(
    () => ['floor'],
    (e) => {
      if (e.type === 'floor') take(e.data)
      else if (e.type === 'reset') void load()
    },
  )
  const mine = computed<Agent | null>(() => snapshot.value?.agents?.find((a) => a.id === principal.value?.id) ?? null)
  const waiting = computed(() => (snapshot.value?.waiting ?? []).filter((w) => w.state !== 'talking'))

  async function act(f: () => Promise<unknown>): Promise<ApiError | null> {
    busy.value = true
    try {
      await f()
      await load()
      return null
    } catch (e) {
      return asApiError(e)
    } finally {
      busy.value = false
    }
  }
  const start = () => {
    void load()
    timer ??= setInterval(() => void load(), FIGURES_MS)
  }
  const stop = () => {
    if (timer !== null) clearInterval(timer)
    timer = null
  }
  return { snapshot, today, error, busy, mine, waiting, load, act, start, stop }
}

export type FloorState = ReturnType<typeof useFloor>
