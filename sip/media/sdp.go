package media

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// direction is one side's will to send and receive (RFC 3264 §6.1).
type direction struct{ send, recv bool }

// String returns the SDP attribute.
func (d direction) String() string {
	switch {
	case d.send && d.recv:
		return "sendrecv"
	case d.send:
		return "sendonly"
	case d.recv:
		return "recvonly"
	}
	return "inactive"
}

// remoteSDP is what we need of a peer's description. Payload types are the
// peer's wish for what it receives.
type remoteSDP struct {
	media  []string // every m= value in order, to refuse those we do not take
	audio  int      // index in media of the stream we take; -1: none
	addr   netip.AddrPort
	rtcp   uint16  // port; zero: RTP port + 1
	codecs []Codec // in the peer's order
	event  uint8   // payload type of telephone-event/8000; zero: none
	dir    direction
}

const (
	maxSDPBytes = 64 << 10
	maxStreams  = 16
)

// parseSDP reads a description (RFC 8866) tolerantly: CR LF or LF, the last
// line with or without an end, unknown lines skipped. It takes the first
// audio stream over RTP/AVP with a port. Errors: ErrBadSDP.
func parseSDP(body []byte) (*remoteSDP, error) {
	if len(body) > maxSDPBytes {
		return nil, fmt.Errorf("%w: %d bytes", ErrBadSDP, len(body))
	}
	r := &remoteSDP{audio: -1, dir: direction{true, true}}
	var ip, sessionIP netip.Addr
	var port uint16
	var formats []string
	maps := map[string]string{} // payload type → encoding of the stream we take
	version, current := false, -1
	for line := range bytes.Lines(body) {
		s := strings.TrimSpace(string(line))
		if s == "" {
			continue
		}
		if len(s) < 2 || s[1] != '=' {
			return nil, fmt.Errorf("%w: line without '='", ErrBadSDP)
		}
		value := strings.TrimSpace(s[2:])
		ours := current >= 0 && current == r.audio
		switch s[0] {
		case 'v':
			version = true
		case 'c':
			if current >= 0 && !ours {
				continue
			}
			a, err := connectionAddr(value)
			if err != nil {
				return nil, err
			}
			if ours {
				ip = a
			} else {
				sessionIP = a
			}
		case 'm':
			f := strings.Fields(value)
			if len(f) < 3 || len(r.media) == maxStreams {
				return nil, fmt.Errorf("%w: m= line", ErrBadSDP)
			}
			portText, _, _ := strings.Cut(f[1], "/")
			n, err := strconv.ParseUint(portText, 10, 16)
			if err != nil {
				return nil, fmt.Errorf("%w: port in m= line", ErrBadSDP)
			}
			r.media = append(r.media, strings.Join(f, " "))
			current++
			if r.audio < 0 && strings.EqualFold(f[0], "audio") && n != 0 && strings.EqualFold(f[2], "RTP/AVP") {
				r.audio, port, formats = current, uint16(n), f[3:]
			}
		case 'a':
			if current < 0 || ours {
				r.attribute(value, maps)
			}
		}
	}
	if !version || len(r.media) == 0 {
		return nil, fmt.Errorf("%w: no v= or no m= line", ErrBadSDP)
	}
	if r.audio < 0 {
		return r, nil
	}
	if !ip.IsValid() {
		ip = sessionIP
	}
	if !ip.IsValid() {
		return nil, fmt.Errorf("%w: no c= line", ErrBadSDP)
	}
	r.addr = netip.AddrPortFrom(ip, port)
	r.formats(formats, maps)
	return r, nil
}

// attribute reads one a= value of the session or of our stream.
func (r *remoteSDP) attribute(value string, maps map[string]string) {
	name, arg, _ := strings.Cut(value, ":")
	switch strings.ToLower(name) {
	case "sendrecv":
		r.dir = direction{true, true}
	case "sendonly":
		r.dir = direction{send: true}
	case "recvonly":
		r.dir = direction{recv: true}
	case "inactive":
		r.dir = direction{}
	case "rtpmap":
		if pt, enc, ok := strings.Cut(strings.TrimSpace(arg), " "); ok {
			maps[pt] = strings.ToLower(strings.TrimSpace(enc))
		}
	case "rtcp": // RFC 3605
		p, _, _ := strings.Cut(strings.TrimSpace(arg), " ")
		if n, err := strconv.ParseUint(p, 10, 16); err == nil {
			r.rtcp = uint16(n)
		}
	}
}

// formats picks the codecs and the key events out of the m= line's list.
func (r *remoteSDP) formats(list []string, maps map[string]string) {
	for _, f := range list {
		enc := maps[f]
		switch {
		case f == "8" && (enc == "" || strings.HasPrefix(enc, "pcma/8000")):
			r.codecs = append(r.codecs, PCMA)
		case f == "0" && (enc == "" || strings.HasPrefix(enc, "pcmu/8000")):
			r.codecs = append(r.codecs, PCMU)
		case enc == "telephone-event/8000" && r.event == 0:
			if n, err := strconv.ParseUint(f, 10, 8); err == nil && n >= 96 && n <= 127 { // RFC 3551 §3: the dynamic range
				r.event = uint8(n)
			}
		}
	}
}

// connectionAddr reads the value of a c= line (RFC 8866 §5.7).
func connectionAddr(value string) (netip.Addr, error) {
	f := strings.Fields(value)
	if len(f) < 3 || f[0] != "IN" {
		return netip.Addr{}, fmt.Errorf("%w: c= line", ErrBadSDP)
	}
	text, _, _ := strings.Cut(f[2], "/")
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("%w: address in c= line", ErrBadSDP)
	}
	return a.Unmap(), nil
}

// localSDP is what we describe of ourselves.
type localSDP struct {
	id, version uint64
	addr        netip.AddrPort
	codecs      []Codec
	event       uint8 // zero: none
	dir         direction
	media       []string // of the offer; nil when we offer
	audio       int
}

// bytes writes the description (RFC 8866 §5).
func (s *localSDP) bytes() []byte {
	var b bytes.Buffer
	fam := "IP4"
	if s.addr.Addr().Is6() {
		fam = "IP6"
	}
	fmt.Fprintf(&b, "v=0\r\no=hotline %d %d IN %s %s\r\ns=-\r\nc=IN %s %s\r\nt=0 0\r\n",
		s.id, s.version, fam, s.addr.Addr(), fam, s.addr.Addr())
	for i := range max(1, len(s.media)) {
		if s.media != nil && i != s.audio { // refused stream: RFC 3264 §6
			f := strings.Fields(s.media[i])
			f[1] = "0"
			fmt.Fprintf(&b, "m=%s\r\n", strings.Join(f, " "))
			continue
		}
		fmt.Fprintf(&b, "m=audio %d RTP/AVP", s.addr.Port())
		for _, c := range s.codecs {
			fmt.Fprintf(&b, " %d", c)
		}
		if s.event != 0 {
			fmt.Fprintf(&b, " %d", s.event)
		}
		b.WriteString("\r\n")
		for _, c := range s.codecs {
			fmt.Fprintf(&b, "a=rtpmap:%d %s/8000\r\n", c, c)
		}
		if s.event != 0 {
			fmt.Fprintf(&b, "a=rtpmap:%d telephone-event/8000\r\na=fmtp:%d 0-15\r\n", s.event, s.event)
		}
		fmt.Fprintf(&b, "a=ptime:20\r\na=%s\r\n", s.dir)
	}
	return b.Bytes()
}
