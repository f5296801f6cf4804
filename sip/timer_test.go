package sip

import "testing"

// TestNoPromiseToRefresh: a caller who wants us to refresh the session, even
// with Require, gets an answer without a timer: no expiry is agreed then
// (RFC 4028 §7.2), and he must not wait for refreshes of ours.
func TestNoPromiseToRefresh(t *testing.T) {
	t.Parallel()
	for _, headers := range []string{
		"Supported: timer\r\nRequire: timer\r\nSession-Expires: 90;refresher=uas\r\n",
		"Supported: timer\r\nSession-Expires: 1800 ; Refresher = UAS\r\n",
	} {
		h := open(t, houseOptions{})
		w := h.wire("udp")
		w.send(w.msg("INVITE", "1", 1, headers, body))
		res := w.want(200, "INVITE")
		if v := headerText(res, "Session-Expires"); v != "" {
			t.Errorf("Session-Expires = %q", v)
		}
		if v := headerText(res, "Require"); v != "" {
			t.Errorf("Require = %q", v)
		}
		w.send(w.msg("ACK", "a", 1, "", ""))
		w.bye(2)
	}
}
