package socket

import "sync"

// SocketHub finds sockets by id. It is safe for concurrent use. A socket that
// is closed stays until Delete.
type SocketHub struct {
	mu      sync.RWMutex // protects following
	sockets map[string]Socket
}

// NewSocketHub returns an empty hub.
func NewSocketHub() *SocketHub {
	return &SocketHub{sockets: make(map[string]Socket)}
}

// Set puts the socket under its id. Another one that is there is closed.
func (sh *SocketHub) Set(socket Socket) {
	sh.mu.Lock()
	id := socket.Id() // under the lock, where ChangeId changes it
	old := sh.sockets[id]
	sh.sockets[id] = socket
	sh.mu.Unlock()
	if old != nil && old != socket {
		_ = old.Close() // outside the lock: it may take its time
	}
}

// Get returns the socket with the id.
func (sh *SocketHub) Get(id string) (Socket, bool) {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	socket, ok := sh.sockets[id]
	return socket, ok
}

// Range calls f for each socket until it returns false. f may use the hub;
// what it changes may or may not be seen.
func (sh *SocketHub) Range(f func(Socket) bool) {
	sh.mu.RLock()
	sockets := make([]Socket, 0, len(sh.sockets))
	for _, socket := range sh.sockets {
		sockets = append(sockets, socket)
	}
	sh.mu.RUnlock()
	for _, socket := range sockets {
		if !f(socket) {
			return
		}
	}
}

// Random returns one of the sockets, or false when there is none.
func (sh *SocketHub) Random() (Socket, bool) {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	for _, socket := range sh.sockets { // Go starts a range at a random place
		return socket, true
	}
	return nil, false
}

// Len returns how many sockets there are.
func (sh *SocketHub) Len() int {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return len(sh.sockets)
}

// Delete removes whichever socket has the id now. When a socket may have been
// replaced by another of its id, it is Remove that does not take that one away.
func (sh *SocketHub) Delete(id string) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	delete(sh.sockets, id)
}

// Remove removes the socket, unless another has its id by now.
func (sh *SocketHub) Remove(socket Socket) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if id := socket.Id(); sh.sockets[id] == socket {
		delete(sh.sockets, id)
	}
}

// ChangeId gives the socket the new id and moves it there at once. Another
// socket that has the id is closed.
func (sh *SocketHub) ChangeId(newId string, socket Socket) {
	sh.mu.Lock()
	oldID := socket.Id()
	if oldID == newId && sh.sockets[oldID] == socket {
		sh.mu.Unlock()
		return
	}
	if sh.sockets[oldID] == socket {
		delete(sh.sockets, oldID) // only if it is its own entry
	}
	replaced := sh.sockets[newId]
	socket.SetId(newId)
	sh.sockets[newId] = socket
	sh.mu.Unlock()
	if replaced != nil && replaced != socket {
		_ = replaced.Close()
	}
}
