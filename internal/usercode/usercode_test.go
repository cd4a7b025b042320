package usercode_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/henrylee2cn/teleport/internal/usercode"
)

func TestCall(t *testing.T) {
	called := false
	if err := usercode.Call(func() { called = true }); err != nil || !called {
		t.Errorf("got %v, called: %v", err, called)
	}
	if err := usercode.Call(runtime.Goexit); err != usercode.ErrExit {
		t.Errorf("got %v of one that ends its goroutine", err)
	}
	err := usercode.Call(explode)
	var gone *usercode.Panic
	if !errors.As(err, &gone) || gone.Value != "as asked" || !strings.Contains(string(gone.Stack), "explode") {
		t.Errorf("got %v of one that panics", err)
	}
	if !strings.Contains(err.Error(), "as asked") || strings.Contains(err.Error(), "explode") {
		t.Errorf("its error is %q", err)
	}
	if text := usercode.Trace(err); !strings.Contains(text, "as asked") || !strings.Contains(text, "explode") {
		t.Errorf("its trace is %q", text)
	}
	if text := usercode.Trace(usercode.ErrExit); text != usercode.ErrExit.Error() {
		t.Errorf("of one that ends its goroutine it is %q", text)
	}
}

func explode() { panic("as asked") }

// What is done when a function is over is done in its goroutine, which goes on if the
// function has panicked.
func TestRun(t *testing.T) {
	var told []error
	usercode.Run(explode, func(err error) { told = append(told, err) })
	usercode.Run(func() {}, func(err error) { told = append(told, err) })
	if len(told) != 2 || told[0] == nil || told[1] != nil {
		t.Errorf("told %v", told)
	}
}

func TestHand(t *testing.T) {
	done, over := make(chan int, 1), make(chan struct{})
	close(over)
	if !usercode.Hand(done, 1, over) {
		t.Error("there was room")
	}
	if usercode.Hand(done, 2, over) {
		t.Error("there was no room")
	}
	if got := <-done; got != 1 {
		t.Errorf("got %d", got)
	}
	late := make(chan int)
	go usercode.Hand(late, 3, nil)
	if got := <-late; got != 3 {
		t.Errorf("got %d", got)
	}
}
