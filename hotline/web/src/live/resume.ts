// Which stream positions were seen: the reason a reconnect loses and repeats nothing.

const KEEP = 4096

// Resume remembers the highest position and the latest KEEP positions. A
// position may come late (a topic subscribed afterwards is replayed), so a
// lower one is taken as long as it is new.
export class Resume {
  last = 0
  private seen = new Set<number>()

  constructor(start = 0) {
    this.last = start
  }

  // accept tells whether the event at pos is new, and remembers it.
  accept(pos: number): boolean {
    if (this.seen.has(pos)) return false
    this.seen.add(pos)
    if (this.seen.size > KEEP) {
      const oldest = this.seen.values().next().value
      if (oldest !== undefined) this.seen.delete(oldest)
    }
    if (pos > this.last) this.last = pos
    return true
  }

  // restart forgets everything: the server said the gap is too large.
  restart(pos: number): void {
    this.seen.clear()
    this.last = pos
  }
}

// backoff is the pause before try n (0 first): 0.5, 1, 2, 4, 8, 8 … seconds,
// each shortened by up to a quarter so that consoles do not come back as one.
export function backoff(n: number, random: number): number {
  return Math.round(Math.min(8000, 500 * 2 ** Math.min(n, 10)) * (1 - random / 4))
}
