import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Connection, type LiveEvent, type Status, type WireEvents } from './connection'
import { backoff, Resume } from './resume'

class FakeWire {
  sent: { topics: string[]; since: number }[] = []
  closed = false
  constructor(readonly events: WireEvents) {}
  send = (text: string) => void this.sent.push(JSON.parse(text))
  close = () => {
    this.closed = true
  }
  say = (m: unknown) => this.events.message(JSON.stringify(m))
  event = (pos: number, topic = 'unit:A') => this.say({ type: 'event', pos, kind: 'order.dispatched', topics: [topic], data: {} })
}

describe('Connection', () => {
  let wires: FakeWire[]
  let states: Status[]
  let heard: LiveEvent[]
  let c: Connection
  const failing = vi.fn()
  const hear = (e: LiveEvent) => void heard.push(e)
  const positions = () => heard.map((e) => (e.type === 'event' ? e.pos : e.type))
  const wire = () => wires.at(-1)!

  beforeEach(() => {
    vi.useFakeTimers()
    wires = []
    states = []
    heard = []
    failing.mockReset()
    c = new Connection({
      open: (events) => {
        const w = new FakeWire(events)
        wires.push(w)
        return w
      },
      random: () => 0, statusChanged: (s) => states.push(s), denied: () => undefined, failing,
    })
  })
  afterEach(() => {
    c.stop()
    vi.useRealTimers()
  })

  it('subscribes from the position the page was loaded at', () => {
    c.listen(['unit:A'], hear)
    c.start(41)
    wire().events.opened()
    expect(wire().sent).toEqual([{ type: 'subscribe', topics: ['unit:A'], since: 41 }])
  })

  it('resumes after a break with neither gap nor double', () => {
    c.listen(['unit:A'], hear)
    c.start(10)
    wire().events.opened()
    wire().event(11)
    wire().event(12)
    wire().events.closed()
    expect(states).toEqual(['connecting', 'online', 'lost'])
    vi.advanceTimersByTime(500)
    expect(wires).toHaveLength(2)
    wire().events.opened()
    expect(wire().sent[0]?.since).toBe(12)
    wire().event(12)
    wire().event(13)
    expect(positions()).toEqual([11, 12, 13])
    expect(states.at(-1)).toBe('online')
  })

  it('waits 0.5, 1, 2, 4, 8, 8 seconds, and starts again after a success', () => {
    c.start(1)
    const pauses: number[] = []
    for (let i = 0; i < 6; i++) {
      const before = wires.length
      wire().events.closed()
      let ms = 0
      while (wires.length === before) {
        vi.advanceTimersByTime(100)
        ms += 100
      }
      pauses.push(ms)
    }
    expect(pauses).toEqual([500, 1000, 2000, 4000, 8000, 8000])
    expect(failing).toHaveBeenCalledTimes(6)
    wire().events.opened()
    wire().events.closed()
    vi.advanceTimersByTime(500)
    expect(wires).toHaveLength(8)
  })

  it('sends one subscription for all changes of a turn, and none when nothing changed', async () => {
    c.start(5)
    wire().events.opened()
    const first = wire().sent.length
    const stop = c.listen(['floor'], hear)
    c.listen(['agent:1'], hear)
    await Promise.resolve()
    expect(wire().sent.slice(first)).toEqual([{ type: 'subscribe', topics: ['agent:1', 'floor'], since: 5 }])
    stop()
    c.listen(['floor'], hear)
    await Promise.resolve()
    expect(wire().sent).toHaveLength(first + 1)
  })

  it('takes an older position of a topic subscribed later', () => {
    c.listen(['unit:A', 'unit:B'], hear)
    c.start(1)
    wire().events.opened()
    wire().event(7)
    wire().event(5, 'unit:B')
    wire().event(5, 'unit:B')
    expect(positions()).toEqual([7, 5])
    expect(c.position).toBe(7)
  })

  it('tells everyone to load again on reset, and goes on from its position', () => {
    c.listen(['unit:A'], hear)
    c.start(1)
    wire().events.opened()
    wire().say({ type: 'reset', pos: 9000 })
    wire().event(9001)
    expect(positions()).toEqual(['reset', 9001])
    expect(c.position).toBe(9001)
  })

  it('gives each listener its own topics only', () => {
    const other: LiveEvent[] = []
    c.listen(['unit:A'], hear)
    c.listen(['floor'], (e) => void other.push(e))
    c.start(1)
    wire().events.opened()
    wire().event(2)
    wire().say({ type: 'floor', data: { at: '', waiting: [], agents: [] } })
    wire().events.message('not json')
    expect(positions()).toEqual([2])
    expect(other.map((e) => e.type)).toEqual(['floor'])
  })

  it('hears nothing of a socket it gave up, and stays off after stop', () => {
    c.listen(['unit:A'], hear)
    c.start(1)
    const old = wire()
    old.events.opened()
    c.drop()
    expect(old.closed).toBe(true)
    old.event(2)
    c.wake()
    expect(wires).toHaveLength(2)
    c.stop()
    wire().events.closed()
    vi.advanceTimersByTime(60_000)
    expect(wires).toHaveLength(2)
    expect(heard).toEqual([])
    expect(states.at(-1)).toBe('off')
  })
})

describe('Resume', () => {
  it('keeps a bounded memory', () => {
    const r = new Resume(0)
    for (let i = 1; i <= 10_000; i++) expect(r.accept(i)).toBe(true)
    expect(r.accept(10_000)).toBe(false)
    expect(r.accept(9000)).toBe(false)
  })
  it.each([[0, 0, 500], [0, 1, 375], [4, 0, 8000], [50, 0, 8000]])('backoff(%d, %d) is %d', (n, random, want) => expect(backoff(n, random)).toBe(want))
})
