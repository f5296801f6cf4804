package main

import (
	"bytes"
	"context"
	"fmt"

	"hotline12345/configs"
	"hotline12345/hotline"
	"hotline12345/hotline/agent"
	"hotline12345/sip"
	"hotline12345/sip/acd"
	"hotline12345/sip/ivr"
	"hotline12345/sip/media"
)

// openTelephone makes the floor and the user agent and tells the floor of
// every seat.
func (a *App) openTelephone(ctx context.Context) (err error) {
	wrapUp := a.cfg.Floor.WrapUp
	if wrapUp == 0 {
		wrapUp = -1 // none, in the floor's words
	}
	if a.floor, err = acd.New(acd.Options{
		Redis: a.live.Client, Clock: a.clock, Node: a.cfg.Node, Log: a.log,
		RingTimeout: a.cfg.SIP.RingTimeout, WrapUp: wrapUp,
	}); err != nil {
		return err
	}
	prompts, plan, err := loadPrompts(a.cfg)
	if err != nil {
		return err
	}
	var trunks []sip.Trunk
	for _, t := range a.cfg.SIP.Trunks {
		trunks = append(trunks, sip.Trunk{Name: t.Name, Sources: t.Sources})
	}
	a.phones, err = sip.New(sip.Options{
		UDPAddr: a.cfg.SIP.UDPAddr, TCPAddr: a.cfg.SIP.TCPAddr, MediaIP: a.cfg.SIP.MediaIP.String(),
		PortMin: a.cfg.SIP.RTPPortMin, PortMax: a.cfg.SIP.RTPPortMax,
		Trunks: trunks, PhoneNets: a.cfg.SIP.PhoneNetworks, Realm: a.cfg.SIP.Realm, ReadyOnRegister: a.cfg.SIP.ReadyOnRegister,
		Lines: func(number string) (hotline.Line, bool) { return a.archive.Directory().Line(number) },
		Desk:  a.calls, Phones: phoneBook{a.roster}, Floor: a.floor, Redis: a.live.Client,
		Prompts: prompts, IVR: plan, RecordDir: a.recordingDir(), Node: a.cfg.Node, Clock: a.clock, Log: a.log,
		MaxCalls: a.cfg.SIP.MaxCalls, MaxWaiting: a.cfg.Queue.MaxWaiting, LongestWait: a.cfg.Queue.LongestWait, MaxCallLength: a.cfg.SIP.MaxCallLength,
	})
	return err
}

// knowSeats tells the floor of every seat and its agent's name, at start and
// whenever people may have changed.
func (a *App) knowSeats(ctx context.Context) error {
	seats, err := a.roster.Seats(ctx)
	if err != nil {
		return err
	}
	var ids []hotline.AccountID
	for _, s := range seats {
		ids = append(ids, s.Account)
	}
	names, err := a.auth.Names(ctx, ids)
	if err != nil {
		return err
	}
	var known []acd.Seat
	for _, s := range seats {
		known = append(known, acd.Seat{ID: s.Account, Name: names[s.Account], Extension: s.Extension})
	}
	return a.floor.Know(ctx, known...)
}

// phoneBook answers sip.Phones from the roster.
type phoneBook struct{ roster *agent.Roster }

// HA1 returns the digest secret of an extension. Errors: NotFound.
func (b phoneBook) HA1(ctx context.Context, extension string) (sip.Secret, error) {
	s, err := b.roster.HA1(ctx, extension)
	if err != nil {
		return sip.Secret{}, err
	}
	return sip.Secret{Account: s.Account, MD5: s.MD5, SHA256: s.SHA256}, nil
}

// loadPrompts reads the spoken prompts and what is said when.
func loadPrompts(cfg configs.Config) (map[string]*media.Prompt, ivr.Plan, error) {
	sounds, err := configs.Prompts(cfg.Prompts)
	if err != nil {
		return nil, ivr.Plan{}, err
	}
	settings, err := configs.LoadIVR(cfg.IVR, sounds)
	if err != nil {
		return nil, ivr.Plan{}, err
	}
	prompts := make(map[string]*media.Prompt, len(sounds))
	for name, wav := range sounds {
		if prompts[name], err = media.LoadWAV(bytes.NewReader(wav)); err != nil {
			return nil, ivr.Plan{}, fmt.Errorf("read prompt %s: %w", name, err)
		}
	}
	return prompts, ivr.Plan(settings), nil
}
