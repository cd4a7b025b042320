package heartbeat

import (
	"container/heap"
	"sync"
	"sync/atomic"
	"time"

	"github.com/henrylee2cn/goutil"
	tp "github.com/henrylee2cn/teleport"
)

// minPause is the shortest pause between two looks at the sessions that are due, so
// that many of them are looked at together.
const minPause = 5 * time.Millisecond

// entry is what a plugin knows of a session. It is in Public of the session, where
// the hooks find it.
type entry struct {
	sess    tp.Session
	in, out atomic.Int64 // when the last packet came or went: nanoseconds of the schedule

	at    time.Duration // when it is due; the schedule's
	index int           // in the heap, -1 if it is not there; the schedule's

	beaten  time.Duration // Ping: when the last heartbeat went; the schedule's
	beating atomic.Bool   // Ping: it is under way
	bounded bool          // Ping: it has set the read timeout; the schedule's

	interval atomic.Int64 // Pong: what the other side has announced
}

// schedule calls due for each session in its time, by one timer for all. When a packet
// comes, nothing is done here: an entry that is due too early is put back.
type schedule struct {
	epoch time.Time
	// due tells when the entry is due again; 0 is never. It holds mu: it must not block,
	// nor call the schedule.
	due func(e *entry, now time.Duration) time.Duration

	mu      sync.Mutex // protects following
	entries entryHeap
	timer   *time.Timer // nil while there are no entries
}

func newSchedule(due func(*entry, time.Duration) time.Duration) *schedule {
	return &schedule{epoch: time.Now(), due: due}
}

func (s *schedule) now() time.Duration { return time.Since(s.epoch) }

// put adds an entry, or moves it. When it is due is asked with mu held.
func (s *schedule) put(e *entry, at func() time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.at = at()
	if e.index < 0 {
		heap.Push(&s.entries, e)
	} else {
		heap.Fix(&s.entries, e.index)
	}
	s.arm()
}

func (s *schedule) remove(e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.index >= 0 {
		heap.Remove(&s.entries, e.index)
	}
	s.arm()
}

// each calls fn, which may change when an entry is due, for all entries.
func (s *schedule) each(fn func(*entry)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.entries {
		fn(e)
	}
	heap.Init(&s.entries)
	s.arm()
}

// arm sets the timer for the first entry. Mu is held.
func (s *schedule) arm() {
	if len(s.entries) == 0 {
		if s.timer != nil {
			s.timer.Stop()
			s.timer = nil
		}
		return
	}
	pause := max(s.entries[0].at-s.now(), minPause)
	if s.timer == nil {
		s.timer = time.AfterFunc(pause, s.wake)
	} else {
		s.timer.Reset(pause)
	}
}

// wake is the timer's.
func (s *schedule) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for len(s.entries) > 0 && s.entries[0].at <= now {
		e := s.entries[0]
		e.at = s.due(e, now)
		if e.at > 0 {
			heap.Fix(&s.entries, 0)
		} else {
			heap.Remove(&s.entries, 0)
		}
	}
	s.arm()
}

// holder is a session, or the context of an exchange.
type holder interface {
	Public() goutil.Map
	PublicLen() int
}

// entryOf returns the entry that a plugin has put into Public, or nil.
func entryOf(of holder, key any) *entry {
	if of.PublicLen() == 0 { // Public would make a map
		return nil
	}
	value, _ := of.Public().Load(key)
	e, _ := value.(*entry)
	return e
}

// isOver reports whether a session has ended: PostDisconnect does not tell of one that
// was never let in.
func isOver(s tp.Session) bool {
	select {
	case <-s.CloseNotify():
		return true
	default:
		return false
	}
}

// entryHeap has the entry that is due first at 0.
type entryHeap []*entry

var _ heap.Interface = (*entryHeap)(nil)

func (h entryHeap) Len() int           { return len(h) }
func (h entryHeap) Less(i, j int) bool { return h[i].at < h[j].at }

func (h entryHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push is for package heap.
func (h *entryHeap) Push(x any) {
	e := x.(*entry)
	e.index = len(*h)
	*h = append(*h, e)
}

// Pop is for package heap.
func (h *entryHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	e.index = -1
	return e
}
