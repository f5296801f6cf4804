import type { ServerMessage } from '../api/types'
import { backoff, Resume } from './resume'

// Wire is an open or opening websocket, small enough to be faked.
export interface Wire {
  send(text: string): void
  close(): void
}

export interface WireEvents {
  opened(): void
  message(text: string): void
  closed(): void
}

export type Status = 'off' | 'connecting' | 'online' | 'lost'

// LiveEvent is what a page hears: an event of the stream, a floor snapshot, a
// step of the own phone, or "reset" (load everything again).
export type LiveEvent = Extract<ServerMessage, { type: 'event' | 'floor' | 'call' }> | { type: 'reset' }

export interface Deps {
  open(events: WireEvents): Wire
  random(): number
  statusChanged(status: Status): void
  denied(topic: string): void
  failing(tries: number): void // after each lost try; the owner may look whether the session still lives
}

interface Listener {
  topics: string[]
  hear(e: LiveEvent): void
}

const MAX_TRIES_WORD = 30 // tries are counted no further

// Connection keeps one websocket open while it is started, subscribes it to
// every listener's topics and resumes after a break at the last position.
export class Connection {
  private readonly deps: Deps
  private readonly listeners = new Set<Listener>()
  private resume = new Resume()
  private wire: Wire | null = null
  private generation = 0
  private status: Status = 'off'
  private tries = 0
  private timer: ReturnType<typeof setTimeout> | null = null
  private asked = ''
  private flushing = false

  constructor(deps: Deps) {
    this.deps = deps
  }

  get position(): number {
    return this.resume.last
  }

  // start opens the socket; pos is the stream position the pages' data was read at.
  start(pos: number): void {
    if (this.status !== 'off') return
    this.resume = new Resume(pos)
    this.connect()
  }

  // stop closes it for good (logout). Safe twice.
  stop(): void {
    this.clearTimer()
    this.generation++
    this.wire?.close()
    this.wire = null
    this.tries = 0
    this.set('off')
  }

  // wake tries again now: the browser says the network is back.
  wake(): void {
    if (this.status !== 'lost') return
    this.clearTimer()
    this.tries = 0
    this.connect()
  }

  // drop treats the socket as lost: the browser says the network is gone.
  drop(): void {
    if (this.status === 'online' || this.status === 'connecting') this.lose()
  }

  // listen hears the topics until the returned function is called.
  listen(topics: string[], hear: (e: LiveEvent) => void): () => void {
    const l: Listener = { topics, hear }
    this.listeners.add(l)
    this.flushSoon()
    return () => {
      this.listeners.delete(l)
      this.flushSoon()
    }
  }

  private topics(): string[] {
    return [...new Set([...this.listeners].flatMap((l) => l.topics))].sort()
  }

  private set(s: Status): void {
    if (this.status === s) return
    this.status = s
    this.deps.statusChanged(s)
  }

  private connect(): void {
    const mine = ++this.generation
    const current = () => mine === this.generation
    if (this.tries === 0 && this.status === 'off') this.set('connecting')
    this.asked = ''
    this.wire = this.deps.open({
      opened: () => {
        if (!current()) return
        this.tries = 0
        this.set('online')
        this.subscribe()
      },
      message: (text) => {
        if (current()) this.receive(text)
      },
      closed: () => {
        if (current()) this.lose()
      },
    })
  }

  private lose(): void {
    this.generation++
    this.wire?.close()
    this.wire = null
    this.set('lost')
    const pause = backoff(this.tries, this.deps.random())
    this.tries = Math.min(this.tries + 1, MAX_TRIES_WORD)
    this.deps.failing(this.tries)
    this.clearTimer()
    this.timer = setTimeout(() => {
      this.timer = null
      this.connect()
    }, pause)
  }

  private clearTimer(): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
  }

  // flushSoon sends one subscription for all changes of this turn.
  private flushSoon(): void {
    if (this.flushing) return
    this.flushing = true
    queueMicrotask(() => {
      this.flushing = false
      if (this.status === 'online') this.subscribe()
    })
  }

  private subscribe(): void {
    const topics = this.topics()
    const key = topics.join(' ')
    if (key === this.asked || this.wire === null) return
    this.asked = key
    this.wire.send(JSON.stringify({ type: 'subscribe', topics, since: this.resume.last }))
  }

  private receive(text: string): void {
    let m: ServerMessage
    try {
      m = JSON.parse(text) as ServerMessage
    } catch {
      return
    }
    switch (m.type) {
      case 'hello':
        if (this.resume.last === 0) this.resume.restart(m.pos)
        break
      case 'event':
        if (this.resume.accept(m.pos)) this.tell(m, (l) => l.topics.some((t) => m.topics.includes(t)))
        break
      case 'floor':
        this.tell(m, (l) => l.topics.includes('floor'))
        break
      case 'call':
        this.tell(m, (l) => l.topics.some((t) => t.startsWith('agent:')))
        break
      case 'reset':
        this.resume.restart(m.pos ?? this.resume.last)
        this.tell({ type: 'reset' }, () => true)
        break
      case 'denied':
        this.deps.denied(m.topic)
        break
    }
  }

  private tell(e: LiveEvent, who: (l: Listener) => boolean): void {
    for (const l of [...this.listeners]) if (who(l)) l.hear(e)
  }
}
