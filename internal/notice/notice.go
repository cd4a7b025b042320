// Package notice tells goroutines that wait of a change.
package notice

// Notice is a change that goroutines may wait for. The zero value is ready. It
// takes no memory while nobody waits. The lock that guards what changes guards
// it too: hold it for Wait and Tell, and look at what you wait for before you
// give it up.
type Notice struct{ told chan struct{} }

// Wait returns a channel that is closed by the next Tell.
func (n *Notice) Wait() <-chan struct{} {
	if n.told == nil {
		n.told = make(chan struct{})
	}
	return n.told
}

// Tell wakes all who wait.
func (n *Notice) Tell() {
	if n.told != nil {
		close(n.told)
		n.told = nil
	}
}
