package socket

import (
	"fmt"
	"runtime/debug"
)

// PanicError is wrapped by the error about a Codec, a Proto or a body that
// panicked while a packet was packed or its body decoded.
type PanicError struct {
	// Value is what it panicked with.
	Value interface{}
	// Stack is the stack of the goroutine at the panic, as text.
	Stack []byte
}

// Error shows the value, but leaves out the stack.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap returns the value of the panic if that is an error, else nil.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// newPanicError is called by the deferred function that recovered value.
func newPanicError(value interface{}) *PanicError {
	return &PanicError{Value: value, Stack: debug.Stack()}
}
