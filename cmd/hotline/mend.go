package main

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"hotline12345/hotline"
	"hotline12345/sip/media"
)

// mendedSeq is the sequence number of the recording of a call whose program
// died: beyond any a living call reaches, and the same at every try, so that
// the fact counts once.
const mendedSeq = 1_000_000

// mendRecordings makes the recordings that a killed program left behind
// playable and tells the ledger of them once it has ended their calls. It
// runs beside the serving system and returns when ctx ends.
func (a *App) mendRecordings(ctx context.Context, left []string) error {
	for _, part := range left {
		if err := a.mendRecording(ctx, part); err != nil && ctx.Err() == nil {
			a.log.Error("recording not mended", "file", filepath.Base(part), "err", err)
		}
	}
	<-ctx.Done()
	return nil
}

func (a *App) mendRecording(ctx context.Context, part string) error {
	sealed, err := media.Repair(part)
	if err != nil {
		return err
	}
	name, err := filepath.Rel(a.recordingDir(), sealed.Path)
	if err != nil {
		return err
	}
	id := hotline.CallID(strings.TrimSuffix(filepath.Base(sealed.Path), ".wav"))
	program := hotline.Principal{Name: hotline.System.Name, Roles: []hotline.Role{hotline.RoleAdmin}}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for limit := a.clock.Now().Add(time.Minute); a.clock.Now().Before(limit); {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		call, err := a.calls.Call(ctx, program, id)
		if hotline.ErrorCode(err) == hotline.NotFound { // its facts are in the spool still
			continue
		}
		if err != nil {
			return err
		}
		if call.EndedAt == nil {
			continue
		}
		a.calls.Report(hotline.CallFact{
			CallID: id, Seq: mendedSeq, Kind: hotline.CallRecorded, At: *call.EndedAt,
			Recording: name, SHA256: sealed.SHA256, Duration: sealed.Duration,
		})
		a.log.Info("recording mended", "call_id", string(id), "duration_ms", sealed.Duration.Milliseconds())
		return nil
	}
	return fmt.Errorf("call %s was not ended by the ledger", id)
}

// unfinishedRecordings lists what a killed program left behind. Call it before
// this one records.
func (a *App) unfinishedRecordings() ([]string, error) {
	var left []string
	err := filepath.WalkDir(a.recordingDir(), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, media.PartSuffix) {
			left = append(left, path)
		}
		if d == nil { // the folder is not there yet
			return nil
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for unfinished recordings: %w", err)
	}
	return left, nil
}
