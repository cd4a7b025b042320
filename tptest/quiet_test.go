package tptest_test

import (
	"fmt"
	"testing"
)

// exampleT is the testing.TB of an example, which has none, and of a test that
// must fail.
type exampleT struct {
	testing.TB
	cleanups []func()
	failures []string
}

func (t *exampleT) Helper()           {}
func (t *exampleT) Cleanup(fn func()) { t.cleanups = append(t.cleanups, fn) }

func (t *exampleT) Errorf(format string, args ...any) {
	t.failures = append(t.failures, fmt.Sprintf(format, args...))
}

// Fatalf panics with t: it has to leave the test.
func (t *exampleT) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	panic(t)
}

// end is the end of the test.
func (t *exampleT) end() {
	for len(t.cleanups) > 0 {
		last := len(t.cleanups) - 1
		fn := t.cleanups[last]
		t.cleanups = t.cleanups[:last]
		fn()
	}
}

// silence is a Logger of nothing.
type silence struct{}

func (silence) Printf(string, ...interface{})    {}
func (silence) Fatalf(string, ...interface{})    {}
func (silence) Panicf(string, ...interface{})    {}
func (silence) Criticalf(string, ...interface{}) {}
func (silence) Errorf(string, ...interface{})    {}
func (silence) Warnf(string, ...interface{})     {}
func (silence) Noticef(string, ...interface{})   {}
func (silence) Infof(string, ...interface{})     {}
func (silence) Debugf(string, ...interface{})    {}
func (silence) Tracef(string, ...interface{})    {}
