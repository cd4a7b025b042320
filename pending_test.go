package tp

import (
	"math/rand/v2"
	"sync"
	"testing"
)

// Whatever the order in which pulls come and go, each is found once, by its
// own number: in the ring, and in the map when an old one has its place.
func TestPendingPulls(t *testing.T) {
	var p pendingPulls
	if p.remove(0) != nil || p.len() != 0 {
		t.Fatal("a pull in an empty table")
	}
	under := make(map[uint64]*PullCmd)
	order := rand.New(rand.NewPCG(1, 2))
	next := uint64(0)
	for step := range 200_000 {
		// Swell to more than the ring takes, and shrink to nothing.
		most := 3 * maxPendingRing / 2 * (step / 50_000 % 2)
		if len(under) < most || len(under) == 0 && step%2 == 0 {
			cmd := new(PullCmd)
			cmd.seq = next
			under[next] = cmd
			next += 1 + uint64(order.IntN(3))
			if rerr := p.add(cmd); rerr != nil {
				t.Fatal(rerr)
			}
		}
		for seq, cmd := range under { // any one
			if order.IntN(3) == 0 || len(under) > most {
				if got := p.remove(seq); got != cmd {
					t.Fatalf("step %d: pull %d is %p, got %p", step, seq, cmd, got)
				}
				delete(under, seq)
				if p.remove(seq) != nil {
					t.Fatalf("step %d: pull %d was there twice", step, seq)
				}
			}
			break
		}
		if p.len() != len(under) {
			t.Fatalf("step %d: %d pulls, want %d", step, p.len(), len(under))
		}
	}
	why := NewRerror(CodeConnClosed, "", "")
	for _, cmd := range p.close(why) {
		if under[cmd.seq] != cmd {
			t.Errorf("pull %d was not under way", cmd.seq)
		}
		delete(under, cmd.seq)
	}
	if len(under) > 0 || p.len() > 0 {
		t.Errorf("%d pulls were lost", len(under))
	}
	late := new(PullCmd)
	if p.add(late) == nil {
		t.Error("a closed table takes a pull")
	}
}

// A pull that is refused, as its session closes, may find the reason replaced meanwhile.
func TestPendingRefusesWhileItCloses(t *testing.T) {
	for range 200 {
		var p pendingPulls
		p.refuse()
		var all sync.WaitGroup
		all.Go(func() {
			for range 10 {
				if rerr := p.add(new(PullCmd)); rerr == nil || rerr.Code != CodeConnClosed || rerr.MaybeSent() {
					t.Errorf("got %v", rerr)
				}
			}
		})
		all.Go(func() { p.close(NewRerror(CodeConnClosed, "closed", "")) })
		all.Wait()
	}
}
