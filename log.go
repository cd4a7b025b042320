package tp

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// Logger is what the library logs to, and programs may too. Its methods are
// called concurrently. Format and arguments are those of fmt.Printf; some of the
// arguments come from the other side of a connection, so a Logger quotes
// control characters if a line of its log must not be forged.
//
// The library itself never calls Fatalf or Panicf. A panic of another method is
// told to the default logger, and nothing else comes of it.
type Logger interface {
	// Printf logs without a level.
	Printf(format string, args ...interface{})
	// Fatalf logs and ends the program with status 1.
	Fatalf(format string, args ...interface{})
	// Panicf logs and panics with the text.
	Panicf(format string, args ...interface{})
	// Criticalf logs what needs somebody at once.
	Criticalf(format string, args ...interface{})
	// Errorf logs what went wrong.
	Errorf(format string, args ...interface{})
	// Warnf logs what may go wrong.
	Warnf(format string, args ...interface{})
	// Noticef logs what is normal and worth noticing.
	Noticef(format string, args ...interface{})
	// Infof logs what is normal.
	Infof(format string, args ...interface{})
	// Debugf logs what helps to find a fault.
	Debugf(format string, args ...interface{})
	// Tracef logs every step.
	Tracef(format string, args ...interface{})
}

// Levels of the loggers of this package, on the scale of log/slog, which has
// the four of DEBUG, INFO, WARN and ERROR.
const (
	levelTrace    = slog.LevelDebug - 4
	levelDebug    = slog.LevelDebug
	levelInfo     = slog.LevelInfo
	levelNotice   = slog.LevelInfo + 2
	levelWarn     = slog.LevelWarn
	levelError    = slog.LevelError
	levelCritical = slog.LevelError + 4
	levelPanic    = slog.LevelError + 8
	levelFatal    = slog.LevelError + 12
	levelPrint    = slog.LevelError + 16
	levelOff      = slog.Level(math.MaxInt)
)

// validLevels are the names for error messages, from the most to the least
// talkative.
const validLevels = "TRACE, DEBUG, INFO, NOTICE, WARNING, ERROR, CRITICAL, PANIC, FATAL, PRINT, OFF"

// parseLevel reads the name of a level in any case.
func parseLevel(name string) (slog.Level, error) {
	switch strings.ToUpper(name) {
	case "TRACE":
		return levelTrace, nil
	case "DEBUG":
		return levelDebug, nil
	case "INFO":
		return levelInfo, nil
	case "NOTICE":
		return levelNotice, nil
	case "WARNING", "WARN":
		return levelWarn, nil
	case "ERROR":
		return levelError, nil
	case "CRITICAL":
		return levelCritical, nil
	case "PANIC":
		return levelPanic, nil
	case "FATAL":
		return levelFatal, nil
	case "PRINT":
		return levelPrint, nil
	case "OFF":
		return levelOff, nil
	default:
		return 0, fmt.Errorf("tp: unknown log level %q, want one of %s", name, validLevels)
	}
}

// levelName is what a line shows for a level.
func levelName(level slog.Level) string {
	switch level {
	case levelTrace:
		return "TRACE"
	case levelNotice:
		return "NOTICE"
	case levelCritical:
		return "CRITICAL"
	case levelPanic:
		return "PANIC"
	case levelFatal:
		return "FATAL"
	case levelPrint:
		return "PRINT"
	default:
		return level.String()
	}
}

var (
	// defaultLogger serves until SetLogger names another.
	defaultLogger = newTextLogger(stderr{}, levelInfo)
	// processLogger is what SetLogger was given; nil means defaultLogger.
	processLogger atomic.Pointer[Logger]
)

// SetLogger makes logger the one that the functions of this package and all
// peers without a logger of their own write to; nil restores the default, which
// writes lines in the text format of log/slog to os.Stderr, from INFO upwards.
// It may be called at any time.
func SetLogger(logger Logger) {
	if logger == nil {
		processLogger.Store(nil)
		return
	}
	processLogger.Store(&logger)
}

// SetRawlogLevel sets from which level upwards the default logger writes: one
// of TRACE, DEBUG, INFO (the default), NOTICE, WARNING or WARN, ERROR, CRITICAL,
// PANIC, FATAL, PRINT and OFF, in any case. PRINT leaves only Printf, OFF
// nothing. An unknown name changes nothing and is logged as an error. A logger
// given to SetLogger has its own level, which this does not touch.
func SetRawlogLevel(level string) {
	l, err := parseLevel(level)
	if err != nil {
		Errorf("%v", err)
		return
	}
	defaultLogger.level.Set(l)
}

// NewLogger returns a Logger like the default one which writes to w, from level
// upwards; the names are those of SetRawlogLevel, and an unknown one is an
// error. Each line is one Write, and no two of them overlap: what has several
// lines, such as the stack of a panic, is one with \n escapes. A nil w is
// os.Stderr.
func NewLogger(w io.Writer, level string) (Logger, error) {
	l, err := parseLevel(level)
	if err != nil {
		return nil, err
	}
	if w == nil {
		w = stderr{}
	}
	return newTextLogger(w, l), nil
}

// currentLogger returns the process's logger, never nil.
func currentLogger() Logger {
	if l := processLogger.Load(); l != nil {
		return *l
	}
	return defaultLogger
}

// Printf logs to the process's logger without a level.
func Printf(format string, args ...interface{}) {
	vetFormat(format, args...)
	defer surviveLogger()
	currentLogger().Printf(format, args...)
}

// Fatalf logs to the process's logger and ends the program with status 1, also
// when that logger would not. Deferred functions do not run.
func Fatalf(format string, args ...interface{}) {
	vetFormat(format, args...)
	currentLogger().Fatalf(format, args...)
	os.Exit(1)
}

// Panicf logs to the process's logger and panics with the text, also when that
// logger would not.
func Panicf(format string, args ...interface{}) {
	currentLogger().Panicf(format, args...)
	panic(trimmed(fmt.Sprintf(format, args...)))
}

// Criticalf logs to the process's logger what needs somebody at once.
func Criticalf(format string, args ...interface{}) {
	vetFormat(format, args...)
	defer surviveLogger()
	currentLogger().Criticalf(format, args...)
}

// Errorf logs to the process's logger what went wrong.
func Errorf(format string, args ...interface{}) {
	vetFormat(format, args...)
	defer surviveLogger()
	currentLogger().Errorf(format, args...)
}

// Warnf logs to the process's logger what may go wrong.
func Warnf(format string, args ...interface{}) {
	vetFormat(format, args...)
	defer surviveLogger()
	currentLogger().Warnf(format, args...)
}

// Noticef logs to the process's logger what is normal and worth noticing.
func Noticef(format string, args ...interface{}) {
	vetFormat(format, args...)
	defer surviveLogger()
	currentLogger().Noticef(format, args...)
}

// Infof logs to the process's logger what is normal.
func Infof(format string, args ...interface{}) {
	vetFormat(format, args...)
	defer surviveLogger()
	currentLogger().Infof(format, args...)
}

// Debugf logs to the process's logger what helps to find a fault.
func Debugf(format string, args ...interface{}) {
	vetFormat(format, args...)
	defer surviveLogger()
	currentLogger().Debugf(format, args...)
}

// Tracef logs to the process's logger every step.
func Tracef(format string, args ...interface{}) {
	vetFormat(format, args...)
	defer surviveLogger()
	currentLogger().Tracef(format, args...)
}

// vetFormat does nothing. A function that passes its format here is one whose
// callers go vet checks, which a call of a Logger's method does not achieve.
func vetFormat(format string, args ...interface{}) {
	if false {
		_ = fmt.Sprintf(format, args...)
	}
}

// textLogger writes one line per message with a slog.TextHandler, which quotes
// whatever is not printable: nothing inside of a message can look like a line.
type textLogger struct {
	level   slog.LevelVar
	handler slog.Handler
}

var _ Logger = (*textLogger)(nil)

func newTextLogger(w io.Writer, level slog.Level) *textLogger {
	l := new(textLogger)
	l.level.Set(level)
	l.handler = slog.NewTextHandler(w, &slog.HandlerOptions{
		Level: &l.level,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key != slog.LevelKey {
				return a
			}
			if level, ok := a.Value.Any().(slog.Level); ok {
				a.Value = slog.StringValue(levelName(level))
			}
			return a
		},
	})
	return l
}

func (l *textLogger) Printf(format string, args ...interface{}) {
	l.logf(levelPrint, format, args...)
}

func (l *textLogger) Fatalf(format string, args ...interface{}) {
	l.logf(levelFatal, format, args...)
	os.Exit(1)
}

func (l *textLogger) Panicf(format string, args ...interface{}) {
	l.logf(levelPanic, format, args...)
	panic(trimmed(fmt.Sprintf(format, args...)))
}

func (l *textLogger) Criticalf(format string, args ...interface{}) {
	l.logf(levelCritical, format, args...)
}

func (l *textLogger) Errorf(format string, args ...interface{}) {
	l.logf(levelError, format, args...)
}

func (l *textLogger) Warnf(format string, args ...interface{}) {
	l.logf(levelWarn, format, args...)
}

func (l *textLogger) Noticef(format string, args ...interface{}) {
	l.logf(levelNotice, format, args...)
}

func (l *textLogger) Infof(format string, args ...interface{}) {
	l.logf(levelInfo, format, args...)
}

func (l *textLogger) Debugf(format string, args ...interface{}) {
	l.logf(levelDebug, format, args...)
}

func (l *textLogger) Tracef(format string, args ...interface{}) {
	l.logf(levelTrace, format, args...)
}

// logf formats and writes the message if its level is enabled. An error of the
// writer is dropped: there is nowhere else to tell it.
func (l *textLogger) logf(level slog.Level, format string, args ...interface{}) {
	if level < l.level.Level() {
		return
	}
	text := trimmed(fmt.Sprintf(format, args...))
	// The handler takes DEL for printable when nothing else calls for quotes.
	text = strings.ReplaceAll(text, "\x7f", `\x7f`)
	_ = l.handler.Handle(context.Background(), slog.NewRecord(time.Now(), level, text, 0))
}

// trimmed takes the newlines off the end that a format for a terminal has.
func trimmed(text string) string { return strings.TrimRight(text, "\n") }

// stderr writes to what os.Stderr is at that moment.
type stderr struct{}

func (stderr) Write(p []byte) (int, error) { return os.Stderr.Write(p) }
