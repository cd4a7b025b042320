package tp

import (
	"testing"
	"time"
)

// The pauses grow from 200 ms to 30 s, and no two who lose a server together wait
// equally long.
func TestRedialPauses(t *testing.T) {
	const clients = 1000
	seen := make(map[time.Duration]bool)
	for range clients {
		r := newRedialer("", nil)
		r.die()
		want := 200 * time.Millisecond
		for n := range 20 {
			d := r.nextPause()
			if d < want*79/100 || d > want*121/100 {
				t.Fatalf("pause %d is %v, want a fifth around %v", n, d, want)
			}
			if n == 0 {
				seen[d] = true
			}
			want = min(want*16/10, 30*time.Second)
		}
	}
	if len(seen) < clients*9/10 {
		t.Errorf("%d clients have %d different first pauses", clients, len(seen))
	}
}
