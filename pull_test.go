package tp_test

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	tp "github.com/henrylee2cn/teleport"
)

// Strings and []byte changed when the next packet arrived: 6,048 of 6,400
// echoed bodies were someone else's.
func TestBytesBelongToWhoeverGotThem(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	echo(srv)
	addr := serve(t, srv)
	cli := newPeer(t, tp.PeerConfig{})
	const conns, callers, each = 8, 64, 100
	var sessions []tp.Session
	for range conns {
		sessions = append(sessions, dial(t, cli, addr))
	}
	got := make([][][]byte, callers)
	var wg sync.WaitGroup
	for c := range callers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range each {
				reply, rerr := tp.Pull[[]byte](sessions[c%conns], "/echo", bodyOf(c, i))
				if rerr != nil {
					t.Errorf("caller %d, pull %d: %v", c, i, rerr)
					return
				}
				got[c] = append(got[c], reply)
			}
		}()
	}
	wg.Wait()
	for c := range got {
		for i, body := range got[c] {
			if !bytes.Equal(body, bodyOf(c, i)) {
				t.Fatalf("caller %d, pull %d: the body is now %.40q", c, i, body)
			}
		}
	}
}

func bodyOf(caller, i int) []byte {
	return bytes.Repeat([]byte(fmt.Sprintf("%d/%d,", caller, i)), 20+i)
}
