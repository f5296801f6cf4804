package media

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// batch is how many packets are under way at once; it fits every buffer.
const batch = 32

// BenchmarkRelay sends 172-byte packets through a bridge and, for comparison,
// through the barest forwarder possible. A second process sends and reads, so
// that the processor time of this one is the forwarding alone, the kernel's
// part included: packets/s/core is what one core forwards when it does nothing
// else. x-bare is how much dearer a packet is than with the bare forwarder.
func BenchmarkRelay(b *testing.B) {
	var bare float64 // cpu-ns of a packet
	for _, way := range []string{"bare forwarder", "same law", "other law"} {
		b.Run(way, func(b *testing.B) {
			in, sink := newPeer(b), newPeer(b)
			if way == "bare forwarder" {
				bareForwarder(b, in, sink)
			} else {
				p := testPorts(b, 4, time.Second)
				x, y := newLeg(b, p, LegOptions{}), newLeg(b, p, LegOptions{})
				in.call(x, "8")
				sink.call(y, map[string]string{"same law": "8", "other law": "0"}[way])
				Bridge(x, y)
			}
			batches := (b.N + batch - 1) / batch
			run := startLoad(b, in, sink, batches)
			b.ReportAllocs()
			b.ResetTimer()
			used := cpu(b)
			run()
			used = cpu(b) - used
			b.StopTimer()
			each := float64(used) / float64(batches*batch)
			if way == "bare forwarder" {
				bare = each
			}
			b.ReportMetric(each, "cpu-ns/packet")
			b.ReportMetric(1e9/each, "packets/s/core")
			b.ReportMetric(each/bare, "x-bare")
			b.ReportMetric(0, "ns/op") // the pace of the load, not of the relay
		})
	}
}

// startLoad starts the process that sends and reads; the function it returns
// lets it loose and returns when every packet came through.
func startLoad(b *testing.B, in, sink *peer, batches int) func() {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("MEDIA_TEST_LOAD=%s %d", in.to, batches))
	cmd.Stderr = os.Stderr
	for _, p := range []*peer{in, sink} { // descriptors 3 and 4 of the child
		f, err := p.conn.File()
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	goOn, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	said := bufio.NewScanner(out)
	expect := func(want string) {
		if !said.Scan() || said.Text() != want {
			b.Errorf("load said %q, want %q", said.Text(), want)
		}
	}
	expect("ready")
	b.Cleanup(func() {
		if err := cmd.Wait(); err != nil {
			b.Error(err)
		}
	})
	return func() {
		if err := goOn.Close(); err != nil {
			b.Error(err)
		}
		expect("done")
	}
}

// loadRelay is the process of startLoad: it sends and reads batch by batch and
// does not return. The order is "<address> <batches>".
func loadRelay(order string) {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, "load:", err)
			os.Exit(1)
		}
	}
	addr, count, _ := strings.Cut(order, " ")
	to, err := netip.ParseAddrPort(addr)
	fail(err)
	var batches int
	_, err = fmt.Sscan(count, &batches)
	fail(err)
	var conns [2]*net.UDPConn
	for i := range conns {
		c, err := net.FilePacketConn(os.NewFile(uintptr(3+i), "socket"))
		fail(err)
		conns[i] = c.(*net.UDPConn)
		fail(conns[i].SetDeadline(time.Now().Add(time.Minute)))
	}
	fmt.Println("ready")
	_, _ = os.Stdin.Read(make([]byte, 1)) // until closed
	out, buf := make([]byte, rtpHeader+frameSamples), make([]byte, maxDatagram)
	for i := range batches {
		for j := range batch {
			n := i*batch + j
			putRTP(out, 8, false, uint16(n), uint32(n)*frameSamples, 1)
			_, err := conns[0].WriteToUDPAddrPort(out, to)
			fail(err)
		}
		for range batch {
			_, err := conns[1].Read(buf)
			fail(err)
		}
	}
	fmt.Println("done")
	os.Exit(0)
}

// bareForwarder reads a socket and writes each packet on, nothing else.
func bareForwarder(b *testing.B, in, sink *peer) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	in.to = c.LocalAddr().(*net.UDPAddr).AddrPort()
	dst := netip.MustParseAddrPort(sink.conn.LocalAddr().String())
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, maxDatagram)
		for {
			k, _, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if _, err := c.WriteToUDPAddrPort(buf[:k], dst); err != nil {
				return
			}
		}
	})
	b.Cleanup(func() {
		if err := c.Close(); err != nil {
			b.Error(err)
		}
		wg.Wait()
	})
}
