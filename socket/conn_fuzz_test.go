package socket_test

import (
	"fmt"
	"testing"

	"github.com/henrylee2cn/teleport/socket"
)

// However a stream is cut into segments, the same packets come out of it, and
// the same error ends it.
func FuzzConnSegments(f *testing.F) {
	var all []byte
	for i, frame := range fuzzFrames(f) {
		all = append(all, frame...)
		f.Add(frame, []byte{byte(i), 1}, false)
	}
	f.Add(all, []byte{1}, false)
	f.Add(all, []byte{7, 0, 30}, false)
	f.Add([]byte("{\"Seq\":1}\n{\"Seq\":2,\"Body\":\"aGk=\"}\n{"), []byte{11, 2}, true)
	f.Fuzz(func(t *testing.T, stream, sizes []byte, lines bool) {
		var protoFunc socket.ProtoFunc
		if lines {
			protoFunc = newLineProto
		}
		read := func(segments ...[]byte) (seen []string) {
			c := newScript(segments...).conn(socket.Options{PacketLimit: fuzzLimit}, protoFunc)
			for {
				p := rawPacket()
				if err := c.ReadPacket(p); err != nil {
					return append(seen, err.Error())
				}
				seen = append(seen, p.String()+string(p.XferPipe().Ids()))
			}
		}
		var segments [][]byte
		for i, rest := 0, stream; len(rest) > 0; i++ {
			n := len(rest)
			if len(sizes) > 0 {
				n = min(n, int(sizes[i%len(sizes)])+1)
			}
			segments = append(segments, rest[:n])
			rest = rest[n:]
		}
		equal(t, "packets", fmt.Sprintf("%q", read(segments...)), fmt.Sprintf("%q", read(stream)))
	})
}
