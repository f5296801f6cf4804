package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"hotline12345/hotline"
	"hotline12345/sip/media"
	"hotline12345/sip/siptest"
)

// The pace of the demo's telephone.
const (
	callEvery   = 14 * time.Second // mean time between two simulated calls
	mostCallers = 5                // simulated calls at once
	talkLength  = 25 * time.Second // mean length of a talk
)

// agent is a simulated agent: its phone registers, answers after a moment, and
// while it talks the demand is written down.
func (r *robots) agent(ctx context.Context, extension string) error {
	p, err := siptest.NewPhone(siptest.Options{
		Server: r.a.cfg.SIP.UDPAddr, User: extension, Password: demoPhonePassword(extension), Log: r.log,
		OnCall: func(siptest.Incoming) siptest.Reaction { return siptest.Reaction{After: 3 * time.Second} },
		OnTalk: func(t *siptest.Talk) {
			t.Loop(voice(330))
			if err := r.takeDown(ctx, extension); err != nil && ctx.Err() == nil {
				r.log.Warn("robot stumbled", "act", "take down", "extension", extension, "err", err)
			}
		},
	})
	if err != nil {
		return fmt.Errorf("make phone of simulated agent %s: %w", extension, err)
	}
	defer p.Close()
	for {
		// The phone refreshes by itself once it has registered.
		if err = p.Register(ctx); err == nil {
			break
		}
		r.log.Debug("robot phone is not registered yet", "extension", extension, "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
	<-ctx.Done()
	return nil
}

// voice is a sound a little like speech: syllables of a tone.
func voice(hz float64) *media.Prompt {
	return media.Concat(media.Tone(hz, 180*time.Millisecond), media.Pause(70*time.Millisecond), media.Tone(hz*1.12, 220*time.Millisecond), media.Pause(260*time.Millisecond))
}

// takeDown writes down what the caller of this agent's call wants.
func (r *robots) takeDown(ctx context.Context, extension string) error {
	me, ok := r.cast[extension]
	if !ok {
		return fmt.Errorf("no account of extension %s", extension)
	}
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(6 * time.Second): // a person needs longer
	}
	floor, err := r.a.floor.Snapshot(ctx)
	if err != nil {
		return err
	}
	for _, ag := range floor.Agents {
		if ag.Extension != extension || ag.CallID == "" {
			continue
		}
		call, err := r.a.calls.Call(ctx, me, ag.CallID)
		if err != nil {
			return err
		}
		n := int(r.a.clock.Now().UnixNano() / 1e6)
		in := demoDemands[n%len(demoDemands)].demand(r.a.archive.Directory(), func(k int) int { return n / 7 % k })
		in.CallID, in.CallerPhone, in.Source = call.ID, call.Caller, call.Source
		_, err = r.a.orders.Submit(ctx, me, in)
		return err
	}
	return nil // the caller hung up before anything was said
}

// callers place calls for as long as the demo runs: most dial 12345, some an
// old line, a few give up while they wait.
func (r *robots) callers(ctx context.Context) error {
	g := &errgroup.Group{}
	g.SetLimit(mostCallers)
	for n := 0; ctx.Err() == nil; n++ {
		number := "12345"
		if lines := r.a.archive.Directory().City.Lines; r.rng.IntN(6) == 0 {
			number = lines[r.rng.IntN(len(lines))].Number
		}
		talk := talkLength/2 + time.Duration(r.rng.Int64N(int64(talkLength)))
		if r.rng.IntN(12) == 0 {
			talk = 9 * time.Second // gives up early
		}
		caller := demoCaller(r.rng.IntN(10000))
		g.Go(func() error {
			if err := r.call(ctx, caller, number, talk); err != nil && ctx.Err() == nil {
				r.log.Warn("robot stumbled", "act", "call", "line", number, "err", err)
			}
			return nil
		})
		select {
		case <-ctx.Done():
		case <-time.After(callEvery/2 + time.Duration(r.rng.Int64N(int64(callEvery)))):
		}
	}
	return g.Wait()
}

// call dials, speaks for a while and hangs up.
func (r *robots) call(ctx context.Context, caller, number string, talk time.Duration) error {
	p, err := siptest.NewPhone(siptest.Options{Server: r.a.cfg.SIP.UDPAddr, User: caller})
	if err != nil {
		return err
	}
	defer p.Close()
	t, err := p.Call(ctx, number)
	if err != nil {
		return err
	}
	t.Loop(voice(220))
	select {
	case <-ctx.Done():
	case <-t.Ended():
		return nil
	case <-time.After(talk):
	}
	bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return t.Hangup(bye)
}

// loginOf is the demo's login of a unit.
func loginOf(unit hotline.UnitCode) string { return strings.ToLower(string(unit)) }
