// Package usercode runs functions of the user in goroutines of the library, where nothing
// above them would survive that they panic, and nobody learn that they have ended the
// goroutine, as testing.T.FailNow does.
package usercode

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// ErrExit says that the function has ended its goroutine.
var ErrExit = errors.New("code of the user has ended its goroutine")

// Panic is the error of a function that has panicked.
type Panic struct {
	Value any
	Stack []byte
}

// Error returns what it panicked with, and not the stack.
func (p *Panic) Error() string { return fmt.Sprintf("code of the user has panicked: %v", p.Value) }

// Trace returns what a log says of an ErrExit or *Panic: with the stack, if there is one.
func Trace(gone error) string {
	if p, ok := gone.(*Panic); ok {
		return gone.Error() + "\n" + string(p.Stack)
	}
	return gone.Error()
}

// Run calls fn, and then over in any case: with nil if fn has returned, and otherwise
// with ErrExit or a *Panic. A panic goes no further than that.
func Run(fn func(), over func(gone error)) {
	gone := ErrExit
	defer func() {
		if v := recover(); v != nil {
			gone = &Panic{v, debug.Stack()}
		}
		over(gone)
	}()
	fn()
	gone = nil
}

// Call calls fn in another goroutine and waits until that has ended. It returns nil if
// fn has returned, and otherwise ErrExit or a *Panic.
func Call(fn func()) (gone error) {
	ended := make(chan struct{})
	go Run(fn, func(err error) {
		gone = err
		close(ended)
	})
	<-ended
	return gone
}

// Hand puts v on a channel of the user, when there is room at the latest. It reports
// false if over is closed before that.
func Hand[T any](done chan<- T, v T, over <-chan struct{}) bool {
	select {
	case done <- v: // also if over is closed
		return true
	default:
	}
	select {
	case done <- v:
		return true
	case <-over:
		return false
	}
}
