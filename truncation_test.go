package tp_test

import (
	"net"
	"sync/atomic"
	"testing"

	tp "github.com/henrylee2cn/teleport"
)

// A stream of packets that ends anywhere is handled up to the last packet that is
// whole, and nothing of the one that is not; and one that is split anywhere as if it
// came in one piece.
func TestStreamsCutAnywhere(t *testing.T) {
	log := new(logBook)
	srv := newPeer(t, tp.PeerConfig{Logger: log})
	echo(srv)
	var pushed atomic.Int32
	tp.RegPush(srv.PushRouter, "n", func(tp.PushCtx, *[]byte) { pushed.Add(1) })
	addr := serve(t, srv)
	packets := [][]byte{
		frame{ptype: tp.TypePush, uri: "/n", meta: "a=b", codec: 'j', body: `"x"`}.bytes(),
		jsonPull(7, "/echo", `"whole"`).gzipped(t),
		frame{ptype: tp.TypePush, uri: "/n", codec: 's', body: "end"}.bytes(),
	}
	var stream []byte
	var ends []int
	for _, b := range packets {
		stream = append(stream, b...)
		ends = append(ends, len(stream))
	}
	pushes := 0
	for cut := range len(stream) + 1 {
		for _, split := range []bool{false, true} {
			w := dialWire(t, addr)
			w.sendBytes(stream[:cut])
			sent := cut
			if split {
				w.sendBytes(stream[cut:])
				sent = len(stream)
			}
			for i, end := range ends {
				switch {
				case end > sent:
				case i != 1:
					pushes++
				default:
					b, err := w.nextBytes()
					if err != nil {
						t.Fatalf("cut at %d: no reply: %v", cut, err)
					}
					if f := gunzipFrame(t, b); string(f[len(f)-7:]) != `"whole"` {
						t.Errorf("cut at %d: the reply ends with %q", cut, f[len(f)-7:])
					}
				}
			}
			if err := w.Conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			w.wantClosed()
		}
	}
	eventually(t, "the sessions are over", func() bool { return srv.Stats().Sessions == 0 && srv.Stats().Handlers == 0 })
	if int(pushed.Load()) != pushes {
		t.Errorf("%d pushes were handled, want %d", pushed.Load(), pushes)
	}
	if log.contains("panic") {
		t.Errorf("a panic was recovered:\n%s", log)
	}
}
