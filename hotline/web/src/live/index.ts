// The one live connection of this window, as Vue state.
import { getCurrentScope, onScopeDispose, ref, watch } from 'vue'
import { Connection, type LiveEvent, type Status, type Wire, type WireEvents } from './connection'

export type { LiveEvent, Status }

export const status = ref<Status>('off')
export const recovered = ref(false) // true for some seconds after a break
export const deniedTopics = ref<string[]>([])

let recoveredTimer: ReturnType<typeof setTimeout> | null = null
let checkSession: () => void = () => {}

// whenFailing sets what looks whether the session is still alive.
export function whenFailing(f: () => void): void {
  checkSession = f
}

function open(events: WireEvents): Wire {
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws'
  const ws = new WebSocket(`${scheme}://${location.host}/ws`)
  ws.onopen = () => events.opened()
  ws.onmessage = (e) => events.message(String(e.data))
  ws.onclose = () => events.closed()
  return { send: (text) => ws.send(text), close: () => ws.close() }
}

export const connection = new Connection({
  open,
  random: Math.random,
  statusChanged(s) {
    const back = s === 'online' && status.value === 'lost'
    status.value = s
    if (recoveredTimer !== null) clearTimeout(recoveredTimer)
    recovered.value = back
    if (back) recoveredTimer = setTimeout(() => (recovered.value = false), 4000)
  },
  denied(topic) {
    if (!deniedTopics.value.includes(topic)) deniedTopics.value = [...deniedTopics.value, topic]
  },
  failing(tries) {
    if (tries % 4 === 2) checkSession()
  },
})

if (typeof window !== 'undefined') {
  window.addEventListener('online', () => connection.wake())
  window.addEventListener('offline', () => connection.drop())
}

// useLive hears the topics while the component lives; topics may change.
export function useLive(topics: () => string[], hear: (e: LiveEvent) => void): void {
  let stop: (() => void) | null = null
  watch(
    () => topics().join(' '),
    (key) => {
      const old = stop
      stop = key === '' ? null : connection.listen(key.split(' '), hear)
      old?.()
    },
    { immediate: true },
  )
  if (getCurrentScope()) onScopeDispose(() => stop?.())
}
