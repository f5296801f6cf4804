package cdr

import (
	"context"
	"fmt"
	"slices"
	"time"

	"hotline12345/hotline"
)

const (
	batchFacts   = 256 // facts in one transaction
	storeTimeout = 10 * time.Second
	drainTimeout = 5 * time.Second // for what is left when Run is told to end
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 5 * time.Second
)

// Run moves facts from the spool to PostgreSQL until ctx ends, then, within
// five seconds, what is left. Before anything new it stores what an earlier
// process left and ends that process's open calls as node_lost, at the time of
// their last fact. It runs once at a time.
func (l *Ledger) Run(ctx context.Context) error {
	syncing := make(chan struct{})
	syncCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(syncing)
		l.spool.sync(syncCtx)
	}()
	defer func() {
		stop()
		<-syncing
	}()

	m := mover{Ledger: l}
	m.run(ctx)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := m.once(last); err != nil {
		l.log.Warn("call facts stay in the spool until the next start", "pending", l.Pending(), "err", err)
	}
	return nil
}

// mover is the one reader of the spool.
type mover struct {
	*Ledger
	away bool // PostgreSQL did not take the last batch
}

// run moves facts as they come, trying again while PostgreSQL is away.
func (m *mover) run(ctx context.Context) {
	backoff := firstBackoff
	for {
		err := m.once(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			if m.away {
				m.log.Info("call facts are stored again")
			}
			m.away, backoff = false, firstBackoff
			select {
			case <-ctx.Done():
				return
			case <-m.spool.more:
			}
			continue
		}
		if !m.away {
			m.log.Warn("call facts not stored, they wait in the spool", "pending", m.Pending(), "err", err)
			m.away = true
		}
		wait := time.NewTimer(backoff)
		backoff = min(backoff*2, lastBackoff)
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
	}
}

// once moves all there is. What it did stays done when it fails.
func (m *mover) once(ctx context.Context) error {
	m.mu.Lock()
	recovering := m.live != nil
	m.mu.Unlock()
	for {
		seg, written, full := m.spool.oldest()
		if recovering && !full { // all that an earlier process left is stored
			if err := m.endLost(ctx); err != nil {
				return err
			}
			recovering = false
		}
		if seg.read == written {
			if !full {
				return nil
			}
			if err := m.spool.remove(seg); err != nil {
				m.log.Warn("stored call segment not removed", "err", err)
			}
			continue
		}
		lines, size, err := m.spool.read(seg, written, full)
		if err != nil {
			return fmt.Errorf("read call spool: %w", err)
		}
		if size == 0 {
			return nil // a line is being written
		}
		if err := m.move(ctx, lines); err != nil {
			return err
		}
		seg.read += size
		m.spool.pending.Add(-int64(len(lines)))
	}
}

// move stores lines of the spool; those that are no facts, and those the
// database will never take, are set aside.
func (m *mover) move(ctx context.Context, lines [][]byte) error {
	facts := make([]fact, 0, len(lines))
	var bad [][]byte
	for _, line := range lines {
		f, err := decodeFact(line)
		if err != nil {
			bad = append(bad, line)
			continue
		}
		facts = append(facts, f)
	}
	for batch := range slices.Chunk(facts, batchFacts) {
		refused, err := m.storeBatch(ctx, batch)
		if err != nil {
			return err
		}
		for _, f := range refused {
			line, err := f.encode()
			if err != nil {
				return err
			}
			bad = append(bad, line[:len(line)-1])
		}
	}
	if len(bad) == 0 {
		return nil
	}
	m.log.Error("call facts set aside, a person must look at them", "count", len(bad), "file", rejectedName)
	if err := m.spool.reject(bad); err != nil {
		return fmt.Errorf("set call facts aside: %w", err)
	}
	return nil
}

// storeBatch stores facts in one transaction. When the database refuses the
// data itself, it tries each call alone and returns the facts of those that it
// still refuses, so that one bad fact does not stop the ledger.
func (m *mover) storeBatch(ctx context.Context, batch []fact) (refused []fact, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if err := m.complete(ctx, batch); err != nil {
		return nil, err
	}
	err = m.store(ctx, batch)
	if !refusedData(err) {
		return nil, err
	}
	for len(batch) > 0 {
		id := batch[0].Call
		var one, rest []fact
		for _, f := range batch {
			if f.Call == id {
				one = append(one, f)
			} else {
				rest = append(rest, f)
			}
		}
		batch = rest
		switch err := m.store(ctx, one); {
		case refusedData(err):
			m.log.Error("call refused by the database", "call_id", id, "err", err)
			refused = append(refused, one...)
		case err != nil:
			return nil, err
		}
	}
	return refused, nil
}

// complete finds the dialled line and the caller's person for arrivals.
func (m *mover) complete(ctx context.Context, batch []fact) error {
	d := m.o.Directory()
	for i := range batch {
		f := &batch[i]
		if f.Kind != hotline.CallArrived {
			continue
		}
		if line, ok := d.Line(f.Original); ok {
			f.Line, f.Source = line.Name, line.Source
		}
		if len(f.Sealed) == 0 || f.PersonID != 0 {
			continue
		}
		number, err := m.o.Sealer.Open(f.Sealed)
		if err == nil {
			f.PersonID, err = m.o.People.Caller(ctx, hotline.Phone(number))
		}
		if err == nil {
			continue
		}
		// A database that is away is waited for; a caller that cannot be
		// registered must not keep the call from the record.
		if down := m.o.Pool.Ping(ctx); down != nil {
			return fmt.Errorf("register caller of %s: %w", f.Call, down)
		}
		m.log.Warn("caller not registered", "call_id", f.Call, "err", err)
	}
	return nil
}

// endLost ends the calls that an earlier process of this node left open.
func (m *mover) endLost(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	m.mu.Lock()
	living := make([]hotline.CallID, 0, len(m.live))
	for id := range m.live {
		living = append(living, id)
	}
	m.mu.Unlock()
	lost, err := m.open(ctx, living)
	if err != nil {
		return fmt.Errorf("find open calls of node %s: %w", m.o.Node, err)
	}
	for batch := range slices.Chunk(lost, batchFacts) {
		if err := m.store(ctx, batch); err != nil {
			return fmt.Errorf("end lost calls: %w", err)
		}
	}
	if len(lost) > 0 {
		m.log.Warn("calls of an earlier run ended as lost", "count", len(lost), "node", m.o.Node)
	}
	m.mu.Lock()
	m.live = nil
	m.mu.Unlock()
	return nil
}
