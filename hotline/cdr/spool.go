package cdr

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"hotline12345/hotline"
)

const (
	segmentBytes = 1 << 20   // about 3000 facts: what a crash makes us read again
	chunkBytes   = 256 << 10 // read at once; a line is far shorter
	heldLines    = 4096      // in memory while the disk takes nothing
	retryWrite   = 200 * time.Millisecond

	lockName     = "lock"
	rejectedName = "rejected.ndjson" // lines that are no facts or that the database refuses; for a person to look at
	segmentGlob  = "facts-*.ndjson"
)

// spool is a folder of numbered files ("segments") of facts, one per line.
// append writes at the end of the newest; the goroutine of Run reads from the
// oldest and removes a segment once all of it is stored.
type spool struct {
	dir     string
	log     *slog.Logger
	owner   *os.File // locked while this process has the folder
	pending atomic.Int64
	more    chan struct{} // holds one signal: there is something to move
	dirty   chan struct{} // holds one signal: there is something to fsync

	mu       sync.Mutex
	room     *sync.Cond // of mu: held lines were written
	segments []*segment // guarded by mu; oldest first, the last is written to
	held     [][]byte   // guarded by mu; lines the disk refused so far, in order
	torn     bool       // guarded by mu; the last write stopped inside a line
	ended    bool       // guarded by mu; sync has returned: append does the fsync itself
	closed   bool       // guarded by mu
}

// segment is one file. written and full are guarded by spool.mu; read is the
// mover's alone.
type segment struct {
	number  int
	file    *os.File
	written int64 // bytes in the file, a torn line included
	full    bool  // nothing is added any more
	read    int64 // bytes that are stored
}

func openSpool(dir string, log *slog.Logger) (*spool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	owner, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(owner.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = owner.Close()
		return nil, &hotline.Error{Code: hotline.Conflict, Message: "话单暂存目录正被另一进程使用", Err: err}
	}
	s := &spool{dir: dir, log: log, owner: owner, more: make(chan struct{}, 1), dirty: make(chan struct{}, 1)}
	s.room = sync.NewCond(&s.mu)
	if err := s.load(); err != nil {
		_ = s.close()
		return nil, err
	}
	return s, nil
}

// load takes over the segments of an earlier process and begins a new one.
func (s *spool) load() error {
	names, err := filepath.Glob(filepath.Join(s.dir, segmentGlob))
	if err != nil {
		return err
	}
	slices.Sort(names)
	last := 0
	for _, name := range names {
		seg := &segment{full: true}
		if _, err := fmt.Sscanf(filepath.Base(name), "facts-%d.ndjson", &seg.number); err != nil {
			return fmt.Errorf("strange file %s in the spool", filepath.Base(name))
		}
		if seg.file, err = os.Open(name); err != nil {
			return err
		}
		s.segments = append(s.segments, seg)
		lines, size, err := count(seg.file)
		if err != nil {
			return err
		}
		seg.written = size
		s.pending.Add(lines)
		last = max(last, seg.number)
	}
	seg, err := s.create(last + 1)
	if err != nil {
		return err
	}
	s.segments = append(s.segments, seg)
	s.signal(s.more)
	return nil
}

func count(r io.Reader) (lines, size int64, err error) {
	buf := make([]byte, chunkBytes)
	torn := int64(0)
	for {
		n, err := r.Read(buf)
		lines += int64(bytes.Count(buf[:n], []byte{'\n'}))
		size += int64(n)
		if n > 0 {
			torn = 0
			if buf[n-1] != '\n' {
				torn = 1
			}
		}
		if err == io.EOF {
			return lines + torn, size, nil
		}
		if err != nil {
			return 0, 0, err
		}
	}
}

func (s *spool) path(number int) string {
	return filepath.Join(s.dir, fmt.Sprintf("facts-%08d.ndjson", number))
}

// create makes an empty segment whose name survives a power cut.
func (s *spool) create(number int) (*segment, error) {
	f, err := os.OpenFile(s.path(number), os.O_CREATE|os.O_EXCL|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syncDir(s.dir); err != nil {
		_ = f.Close()
		return nil, err
	}
	return &segment{number: number, file: f}, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// append writes one line. The lock is held over the write on purpose: it goes
// to the page cache, and it is what keeps lines whole and in order.
func (s *spool) append(line []byte) {
	s.mu.Lock()
	for len(s.held) >= heldLines && !s.closed {
		s.room.Wait()
	}
	switch {
	case s.closed:
		s.mu.Unlock()
		s.log.Error("call fact reported after the ledger was closed")
		return
	case len(s.held) > 0:
		s.held = append(s.held, line)
	default:
		if err := s.write(line); err != nil {
			s.log.Error("call spool refuses facts, holding them in memory", "err", err)
			s.held = append(s.held, line)
		}
	}
	s.pending.Add(1)
	if s.ended {
		if err := s.active().file.Sync(); err != nil {
			s.log.Error("call spool not synced", "err", err)
		}
	}
	s.mu.Unlock()
	s.signal(s.dirty)
	s.signal(s.more)
}

func (s *spool) active() *segment { return s.segments[len(s.segments)-1] }

// write puts the line into the newest segment. Callers hold mu.
func (s *spool) write(line []byte) error {
	if s.torn {
		line = append([]byte{'\n'}, line...)
	}
	seg := s.active()
	n, err := seg.file.Write(line)
	seg.written += int64(n)
	if n > 0 {
		s.torn = n < len(line)
		if s.torn {
			s.pending.Add(1) // the mover will count the piece
		}
	}
	return err
}

func (s *spool) signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// sync makes what was written survive a power cut, many lines by one fsync,
// writes held lines again, and begins new segments, until ctx ends.
func (s *spool) sync(ctx context.Context) {
	s.mu.Lock()
	s.ended = false
	s.mu.Unlock()
	retry := time.NewTicker(retryWrite)
	defer retry.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-s.dirty:
		case <-retry.C:
			if !s.release() {
				continue
			}
		}
		s.mu.Lock()
		seg := s.active()
		size := seg.written
		s.mu.Unlock()
		if err := seg.file.Sync(); err != nil {
			s.log.Error("call spool not synced", "err", err)
		}
		if size >= segmentBytes {
			s.rotate(seg)
		}
	}
	s.release()
	s.mu.Lock()
	s.ended = true
	err := s.active().file.Sync()
	s.mu.Unlock()
	if err != nil {
		s.log.Error("call spool not synced", "err", err)
	}
}

// release writes the held lines and tells whether it wrote any.
func (s *spool) release() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	wrote := false
	for len(s.held) > 0 && s.write(s.held[0]) == nil {
		s.held = s.held[1:]
		wrote = true
	}
	if wrote {
		s.room.Broadcast()
		s.signal(s.more)
		if len(s.held) == 0 {
			s.held = nil
			s.log.Info("call spool takes facts again")
		}
	}
	return wrote
}

func (s *spool) rotate(old *segment) {
	next, err := s.create(old.number + 1)
	if err != nil {
		s.log.Error("call spool segment not made, the old one grows", "err", err)
		return
	}
	s.mu.Lock()
	old.full = true
	s.torn = false
	s.segments = append(s.segments, next)
	s.mu.Unlock()
	s.signal(s.more)
	if err := old.file.Sync(); err != nil {
		s.log.Error("call spool not synced", "err", err)
	}
}

// oldest returns the segment to move from, how much of it is written, and
// whether more may come.
func (s *spool) oldest() (seg *segment, written int64, full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seg = s.segments[0]
	return seg, seg.written, seg.full
}

// read returns the next whole lines of the segment and how many bytes they
// are, ends included. In a full segment the rest after the last end is a line
// too: a torn one.
func (s *spool) read(seg *segment, written int64, full bool) (lines [][]byte, size int64, err error) {
	buf := make([]byte, min(chunkBytes, written-seg.read))
	if _, err := seg.file.ReadAt(buf, seg.read); err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, err
	}
	end := bytes.LastIndexByte(buf, '\n') + 1
	if end == 0 && (full || len(buf) == chunkBytes) {
		end = len(buf)
	}
	for line := range bytes.SplitSeq(buf[:end], []byte{'\n'}) {
		if len(line) > 0 {
			lines = append(lines, line)
		}
	}
	return lines, int64(end), nil
}

// remove deletes the oldest segment, all of which is stored.
func (s *spool) remove(seg *segment) error {
	s.mu.Lock()
	s.segments = s.segments[1:]
	s.mu.Unlock()
	_ = seg.file.Close()
	return os.Remove(s.path(seg.number))
}

// reject keeps lines that cannot be stored, for a person to look at.
func (s *spool) reject(lines [][]byte) error {
	f, err := os.OpenFile(filepath.Join(s.dir, rejectedName), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(append(bytes.Join(lines, []byte{'\n'}), '\n')); err != nil {
		return err
	}
	return f.Sync()
}

// close lets the folder go. A spool that holds nothing leaves no segment.
func (s *spool) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.room.Broadcast()
	var errs []error
	if len(s.held) > 0 {
		errs = append(errs, fmt.Errorf("%d call facts lost: the disk never took them", len(s.held)))
	}
	for _, seg := range s.segments {
		if !seg.full {
			errs = append(errs, seg.file.Sync())
		}
		errs = append(errs, seg.file.Close())
		if seg.read == seg.written {
			errs = append(errs, os.Remove(s.path(seg.number)))
		}
	}
	return errors.Join(append(errs, s.owner.Close())...)
}
