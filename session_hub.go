package tp

import (
	"strconv"
	"sync"
	"sync/atomic"
)

// sessionHub finds the open sessions of a peer by id. Its lock makes the
// change of an id, and the replacement that it may mean, one step.
type sessionHub struct {
	mu   sync.RWMutex // protects following, and the id of every session
	byID map[string]*session

	// list has the sessions of byID; nil after a change. It is not changed, so
	// that who goes through it needs no lock.
	list atomic.Pointer[[]*session]
}

// all returns the open sessions, in no order. The slice must not be changed.
func (h *sessionHub) all() []*session {
	if list := h.list.Load(); list != nil {
		return *list
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	list := make([]*session, 0, len(h.byID))
	for _, s := range h.byID {
		list = append(list, s)
	}
	h.list.Store(&list)
	return list
}

// register makes an open session one that is found.
func (s *session) register() {
	h := &s.peer.hub
	h.mu.Lock()
	if s.phase.Load() != phaseOpen { // closed meanwhile
		h.mu.Unlock()
		return
	}
	if !s.chosen {
		s.id = h.free(s.id)
	}
	loser := h.take(s, s.id)
	h.mu.Unlock()
	s.peer.retire(loser)
}

// free returns id, with a suffix if it is taken. Thousands may have the same
// address (pipes, unix sockets), so it does not try one suffix after the other:
// of lo, which is taken, and hi, which is free, it halves the distance.
func (h *sessionHub) free(id string) string {
	if h.byID[id] == nil {
		return id
	}
	suffixed := func(n int) string { return id + "#" + strconv.Itoa(n) }
	lo, hi := 1, 2
	for h.byID[suffixed(hi)] != nil {
		lo, hi = hi, 2*hi
	}
	for hi-lo > 1 {
		if mid := lo + (hi-lo)/2; h.byID[suffixed(mid)] != nil {
			lo = mid
		} else {
			hi = mid
		}
	}
	return suffixed(hi)
}

// take puts s under id and returns who was there.
func (h *sessionHub) take(s *session, id string) (loser *session) {
	h.list.Store(nil)
	if s.registered && s.id != id {
		delete(h.byID, s.id)
	}
	if loser = h.byID[id]; loser == s {
		loser = nil
	}
	if loser != nil {
		loser.replaced, loser.registered = true, false
	}
	if h.byID == nil {
		h.byID = make(map[string]*session)
	}
	h.byID[id] = s
	s.id, s.registered = id, true
	return loser
}

// unregister makes the session one that is not found.
func (s *session) unregister() {
	h := &s.peer.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.registered {
		h.list.Store(nil)
		delete(h.byID, s.id)
		s.registered = false
	}
}

// Id returns the id.
func (s *session) Id() string {
	h := &s.peer.hub
	h.mu.RLock()
	defer h.mu.RUnlock()
	return s.id
}

// SetId changes the id. A session that is not found, since it is opening or
// closing, only changes its own.
func (s *session) SetId(newId string) {
	if newId == "" {
		return
	}
	h := &s.peer.hub
	var loser *session
	h.mu.Lock()
	if s.registered {
		loser = h.take(s, newId)
	} else if !s.replaced {
		s.id = newId
	}
	s.chosen = true
	h.mu.Unlock()
	s.peer.retire(loser)
}

// Replaced reports whether the session ended because another took its id.
func (s *session) Replaced() bool {
	h := &s.peer.hub
	h.mu.RLock()
	defer h.mu.RUnlock()
	return s.replaced
}

// retire closes a session that was replaced, without waiting for it.
func (p *Peer) retire(s *session) {
	if s != nil {
		p.log().Infof("session %s: replaced by another of the same id", s.Id())
		p.pool.mustStart(p.safely(func() { _ = s.Close() }))
	}
}

// GetSession returns the open session with the id.
func (p *Peer) GetSession(sessionId string) (Session, bool) {
	p.hub.mu.RLock()
	defer p.hub.mu.RUnlock()
	s := p.hub.byID[sessionId]
	if s == nil {
		return nil, false
	}
	return s, true
}

// RangeSession calls fn for each open session until it returns false. fn may
// do anything, also close sessions.
func (p *Peer) RangeSession(fn func(sess Session) bool) {
	for _, s := range p.hub.all() {
		if !fn(s) {
			return
		}
	}
}

// CountSession returns how many sessions are open.
func (p *Peer) CountSession() int {
	p.hub.mu.RLock()
	defer p.hub.mu.RUnlock()
	return len(p.hub.byID)
}
