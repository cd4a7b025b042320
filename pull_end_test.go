package tp_test

import (
	"net"
	"sync"
	"testing"

	tp "github.com/henrylee2cn/teleport"
)

// A pull that the link's end finishes while it is being sent must fail: the
// other side answers nothing here, so no pull can have succeeded.
func TestPullFailsWhenTheLinkEndsMeanwhile(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lis.Close() })
	p := newPeer(t, tp.PeerConfig{})
	for range 50 {
		sess := dial(t, p, lis.Addr().String())
		conn, err := lis.Accept()
		if err != nil {
			t.Fatal(err)
		}
		var begun, ended sync.WaitGroup
		for range 8 {
			begun.Add(1)
			ended.Add(1)
			go func() {
				defer ended.Done()
				begun.Done()
				for range 100 {
					if rerr := sess.Pull("/a", 1, nil).Rerror(); rerr == nil {
						t.Error("a pull without an answer has succeeded")
					}
				}
			}()
		}
		begun.Wait()
		_ = conn.Close()
		ended.Wait()
	}
}
