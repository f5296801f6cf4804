// The server's time, as near as one exchange tells it: countdowns must be
// right on a PC whose own clock is not.
import { ref } from 'vue'

let offset = 0

export const now = ref(Date.now()) // ticks every second

// serverNow is the server's time in milliseconds.
export function serverNow(): number {
  return Date.now() + offset
}

// setServerTime sets the offset from one answer: the server's time lies
// between sending and receiving.
export function setServerTime(iso: string, sent: number, received: number): void {
  const t = Date.parse(iso)
  if (Number.isNaN(t)) return
  offset = t - (sent + received) / 2
  now.value = serverNow()
}

if (typeof window !== 'undefined') setInterval(() => (now.value = serverNow()), 1000)
