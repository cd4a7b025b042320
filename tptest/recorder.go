package tptest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/internal/notice"
	"github.com/henrylee2cn/teleport/socket"
)

// Event is a hook that ran.
type Event struct {
	// Hook is the name of the hook, such as "PostReadPullHeader".
	Hook string
	// URI is that of the packet, as the hook saw it, and for PostReg the path
	// of the handler. It is empty for hooks without a packet, and for
	// PreReadHeader, which runs before there is one.
	URI string
	// SessionID is the id that the session had. It is empty for
	// PostReg, PostListen and PreShutdown.
	SessionID string
	// Seq is the sequence number of the packet. Pulls and pushes of one side of
	// a session are numbered apart, from 0. A reply has that of its pull.
	Seq uint64
}

// String returns the event on one line.
func (e Event) String() string {
	return fmt.Sprintf("%s uri=%q session=%q seq=%d", e.Hook, e.URI, e.SessionID, e.Seq)
}

// Recorder is a plugin with all 23 hooks, which records that they ran and
// vetoes nothing. Given to a peer it sees everything; to a group or handler,
// what plugins see there, and the peer logs a warning that names the other
// hooks.
//
// It is safe for concurrent use. It keeps all events until Reset. Events of one
// goroutine are in their order; those of several in the order in which the
// hooks were called.
type Recorder struct {
	name string

	mu        sync.Mutex // protects following
	events    []Event
	forgotten int // how many were before events
	changed   notice.Notice
}

// NewRecorder returns a Recorder with the name, which may stand once in a chain
// of plugins.
func NewRecorder(name string) *Recorder { return &Recorder{name: name} }

// Name returns the plugin's name.
func (r *Recorder) Name() string { return r.name }

// Events returns what was recorded, oldest first.
func (r *Recorder) Events() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// Wait returns the first event for which match returns true, and waits until
// there is one: an event that was recorded before counts too. When ctx ends
// before, the error is that of ctx, wrapped, and says how many other events
// there were. Match is called under the lock of r, once for each event.
func (r *Recorder) Wait(ctx context.Context, match func(Event) bool) (Event, error) {
	for seen := 0; ; {
		r.mu.Lock()
		for i := max(seen-r.forgotten, 0); i < len(r.events); i++ {
			if e := r.events[i]; match(e) {
				r.mu.Unlock()
				return e, nil
			}
		}
		seen = r.forgotten + len(r.events)
		changed := r.changed.Wait()
		r.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return Event{}, fmt.Errorf("tptest: recorder %s: none of %d events was waited for: %w", r.name, seen, ctx.Err())
		}
	}
}

// Reset forgets what was recorded.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forgotten += len(r.events)
	r.events = nil
}

// record adds an event. It returns nil, so that hooks can return it.
func (r *Recorder) record(e Event) *tp.Rerror {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	r.changed.Tell()
	return nil
}

// packet records a hook that has a packet.
func (r *Recorder) packet(hook string, sess tp.Session, p *socket.Packet) *tp.Rerror {
	return r.record(Event{hook, p.Uri(), sess.Id(), p.Seq()})
}
