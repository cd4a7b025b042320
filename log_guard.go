package tp

import "runtime/debug"

// guardedLogger is a Logger of the user as the library calls it. If it panics, the
// line is lost and the goroutine goes on: it may be the one that reads a connection,
// or one that logs the panic of something else, and nothing above it would recover.
type guardedLogger struct{ Logger }

var _ Logger = guardedLogger{}

// surviveLogger is deferred around a call of a Logger.
func surviveLogger() {
	if r := recover(); r != nil {
		defaultLogger.Errorf("the Logger panicked: %v\n%s", r, debug.Stack())
	}
}

func (g guardedLogger) Printf(format string, args ...interface{}) {
	defer surviveLogger()
	g.Logger.Printf(format, args...)
}

func (g guardedLogger) Criticalf(format string, args ...interface{}) {
	defer surviveLogger()
	g.Logger.Criticalf(format, args...)
}

func (g guardedLogger) Errorf(format string, args ...interface{}) {
	defer surviveLogger()
	g.Logger.Errorf(format, args...)
}

func (g guardedLogger) Warnf(format string, args ...interface{}) {
	defer surviveLogger()
	g.Logger.Warnf(format, args...)
}

func (g guardedLogger) Noticef(format string, args ...interface{}) {
	defer surviveLogger()
	g.Logger.Noticef(format, args...)
}

func (g guardedLogger) Infof(format string, args ...interface{}) {
	defer surviveLogger()
	g.Logger.Infof(format, args...)
}

func (g guardedLogger) Debugf(format string, args ...interface{}) {
	defer surviveLogger()
	g.Logger.Debugf(format, args...)
}

func (g guardedLogger) Tracef(format string, args ...interface{}) {
	defer surviveLogger()
	g.Logger.Tracef(format, args...)
}
