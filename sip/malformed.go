package sip

import (
	"bytes"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	gosip "github.com/emiago/sipgo/sip"
)

// maxComplaints bounds how many unreadable datagrams are answered in a second.
const maxComplaints = 50

// readable tells whether a datagram parses. One that does not is answered 400
// without a transaction when enough of it can be read (RFC 3261 §8.2, RFC 4475
// §3.1.2): the library would drop it and its sender would repeat it for 32 s.
// An ACK is never answered, nor is a response.
func (s *Server) readable(data []byte, src netip.AddrPort) bool {
	msg, err := s.parser.ParseSIP(data)
	if err == nil {
		req, ok := msg.(*gosip.Request)
		// The library answers 400 to any request it can make no key for, an
		// ACK included; and it files a request under the method CSeq names.
		if !ok || req.Via() != nil && req.CSeq() != nil && strings.EqualFold(string(req.CSeq().MethodName), string(req.Method)) {
			return true
		}
	}
	s.malformed.Add(1)
	if res := complain(data, src); res != nil && s.mayComplain() {
		if _, err := s.udp.WriteTo(res, udpAddrOf(src)); err != nil {
			s.log.Debug("complaint not sent", "err", err)
		}
	}
	return false
}

func (s *Server) mayComplain() bool {
	now := s.o.Clock.Now().Unix()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.complainedAt != now {
		s.complainedAt, s.complaints = now, 0
	}
	s.complaints++
	return s.complaints <= maxComplaints
}

// complain makes a 400 of the lines it needs, copied as they came; nil when
// they are not all there.
func complain(data []byte, src netip.AddrPort) []byte {
	head, _, _ := bytes.Cut(data, []byte("\r\n\r\n"))
	lines := strings.Split(string(head), "\r\n")
	method, _, ok := strings.Cut(lines[0], " ")
	if !ok || method == "ACK" || strings.HasPrefix(method, "SIP/") || !strings.HasSuffix(lines[0], "SIP/2.0") || len(lines) > 100 {
		return nil
	}
	names := map[string]string{"v": "via", "f": "from", "t": "to", "i": "call-id"}
	var out strings.Builder
	out.WriteString("SIP/2.0 400 Bad Request\r\n")
	var found []string
	for _, l := range lines[1:] {
		name, value, ok := strings.Cut(l, ":")
		name = strings.ToLower(strings.TrimSpace(name))
		if long := names[name]; long != "" {
			name = long
		}
		if !ok || !slices.Contains([]string{"via", "from", "to", "call-id", "cseq"}, name) || strings.ContainsAny(value, "\r\n\x00") {
			continue
		}
		if name == "via" && !slices.Contains(found, "via") { // RFC 3581 §4
			value = strings.Replace(value, ";rport;", ";rport="+strconv.Itoa(int(src.Port()))+";received="+src.Addr().String()+";", 1)
		}
		if name != "via" && slices.Contains(found, name) {
			continue
		}
		if name == "to" && !strings.Contains(value, "tag=") {
			value += ";tag=" + gosip.GenerateTagN(8)
		}
		found = append(found, name)
		out.WriteString(name + ":" + value + "\r\n")
	}
	for _, must := range []string{"via", "from", "to", "call-id", "cseq"} {
		if !slices.Contains(found, must) {
			return nil
		}
	}
	out.WriteString("Server: " + userAgent + "\r\nContent-Length: 0\r\n\r\n")
	return []byte(out.String())
}
