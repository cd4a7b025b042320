package socket_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/henrylee2cn/teleport/socket"
)

// hubSocket returns a socket with the id, and what tells whether it is closed.
func hubSocket(id string) (s socket.Socket, closed func() bool) {
	conn := newScript()
	s = conn.conn(socket.Options{})
	s.SetId(id)
	return s, conn.closed.Load
}

func wantIn(t *testing.T, hub *socket.SocketHub, id string, want socket.Socket) {
	t.Helper()
	got, ok := hub.Get(id)
	equal(t, "Get "+id, got, want)
	equal(t, "Get "+id, ok, want != nil)
}

func TestSocketHub(t *testing.T) {
	hub := socket.NewSocketHub()
	_, ok := hub.Random()
	equal(t, "Random of none", ok, false)
	wantIn(t, hub, "a", nil)
	a, aClosed := hubSocket("a")
	b, _ := hubSocket("b")
	hub.Set(a)
	hub.Set(a) // again: it must not close itself
	equal(t, "closed", aClosed(), false)
	got, ok := hub.Random()
	equal(t, "Random", got, a)
	equal(t, "Random", ok, true)
	hub.Set(b)
	equal(t, "Len", hub.Len(), 2)
	wantIn(t, hub, "a", a)

	seen := make(map[socket.Socket]bool)
	hub.Range(func(s socket.Socket) bool {
		seen[s] = true
		hub.Delete(s.Id()) // f may use the hub
		return true
	})
	equal(t, "seen by Range", len(seen), 2)
	equal(t, "Len", hub.Len(), 0)
	equal(t, "closed by Delete", aClosed(), false)

	hub.Set(a)
	hub.Set(b)
	calls := 0
	hub.Range(func(socket.Socket) bool { calls++; return false })
	equal(t, "calls of a Range that ends", calls, 1)
	hub.Delete("nobody")
	equal(t, "Len", hub.Len(), 2)
}

// The newest socket has the id; the one that it replaces is closed, and what
// that one does afterwards leaves the newest alone.
func TestSocketHubReplaces(t *testing.T) {
	hub := socket.NewSocketHub()
	old, oldClosed := hubSocket("a")
	hub.Set(old)
	newest, newestClosed := hubSocket("a")
	hub.Set(newest)
	equal(t, "old closed", oldClosed(), true)
	equal(t, "newest closed", newestClosed(), false)
	wantIn(t, hub, "a", newest)

	hub.ChangeId("b", old)
	wantIn(t, hub, "a", newest)
	wantIn(t, hub, "b", old)
	hub.Delete("b")
	wantIn(t, hub, "a", newest)
	equal(t, "newest closed", newestClosed(), false)
}

func TestSocketHubChangeId(t *testing.T) {
	hub := socket.NewSocketHub()
	a, aClosed := hubSocket("a")
	b, bClosed := hubSocket("b")
	hub.Set(a)
	hub.Set(b)
	hub.ChangeId("a", a) // nothing to do
	wantIn(t, hub, "a", a)
	hub.ChangeId("b", a)
	equal(t, "id", a.Id(), "b")
	wantIn(t, hub, "a", nil)
	wantIn(t, hub, "b", a)
	equal(t, "moved one closed", aClosed(), false)
	equal(t, "replaced one closed", bClosed(), true)

	outside, _ := hubSocket("b") // has the id, but was never set
	hub.ChangeId("b", outside)
	wantIn(t, hub, "b", outside)
	equal(t, "replaced one closed", aClosed(), true)
	hub.ChangeId("c", outside)
	wantIn(t, hub, "b", nil)
	wantIn(t, hub, "c", outside)
	equal(t, "Len", hub.Len(), 1)
}

func TestSocketHubConcurrently(t *testing.T) {
	hub := socket.NewSocketHub()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			s, _ := hubSocket(fmt.Sprint(i))
			defer s.Close()
			hub.Set(s)
			for n := range 200 {
				hub.ChangeId(fmt.Sprint((i+n)%10), s) // of each other's, too
				hub.Random()
				hub.Range(func(socket.Socket) bool { return true })
				hub.Get(s.Id())
			}
		})
	}
	all.Wait()
	hub.Range(func(s socket.Socket) bool {
		wantIn(t, hub, s.Id(), s)
		return true
	})
}

// A socket that is set while its id changes is there once, under its id.
func TestSocketHubSetDuringChangeId(t *testing.T) {
	for range 2_000 {
		hub := socket.NewSocketHub()
		s, _ := hubSocket("a")
		var both sync.WaitGroup
		both.Go(func() { hub.Set(s) })
		both.Go(func() { hub.ChangeId("b", s) })
		both.Wait()
		equal(t, "Len", hub.Len(), 1)
		wantIn(t, hub, "b", s)
	}
}
