package socket_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/henrylee2cn/teleport/socket"
)

// A great many inputs that are almost frames: whatever they are, ReadPacket returns,
// and no panic had to be recovered. TP_FULL=1 makes it ten million.
func TestFaultManyInputs(t *testing.T) {
	n := 50_000
	if os.Getenv("TP_FULL") == "1" {
		n = 10_000_000
	}
	frames := fuzzFrames(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	opt := socket.Options{PacketLimit: fuzzLimit, UriLimit: 1 << 10, MetaLimit: 16 << 10}.Complete()
	var b []byte
	packets, failures := 0, 0
	for range n {
		b = append(b[:0], frames[rnd.IntN(len(frames))]...)
		for range rnd.IntN(4) {
			b = append(b, frames[rnd.IntN(len(frames))]...)
		}
		for range rnd.IntN(6) {
			switch at := rnd.IntN(len(b)); rnd.IntN(3) {
			case 0:
				b[at] = byte(rnd.Uint32())
			case 1:
				b[at] ^= 1 << rnd.IntN(8)
			default:
				b = append(b[:at:at], b[rnd.IntN(len(b)):]...)
			}
			if len(b) == 0 {
				break
			}
		}
		c := opt.NewConn(newScript(b))
		for {
			p := rawPacket()
			err := c.ReadPacket(p)
			if err == nil {
				packets++
				continue
			}
			failures++
			if strings.Contains(err.Error(), "panic") {
				t.Fatalf("% x: %v", b, err)
			}
			if !errors.Is(err, socket.ErrExceedHeaderLimit) && !errors.Is(err, socket.ErrUndecodable) {
				break // the Conn is of no more use
			}
		}
	}
	t.Logf("%d inputs: %d packets, %d refused", n, packets, failures)
}
