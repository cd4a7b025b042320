package tp_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"

	tp "github.com/henrylee2cn/teleport"
)

// logOf returns what fn writes to os.Stderr, and restores the log's defaults.
func logOf(t *testing.T, fn func()) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	old := os.Stderr
	os.Stderr = w
	text := make(chan string)
	go func() {
		b, _ := io.ReadAll(r)
		text <- string(b)
	}()
	func() {
		defer func() {
			os.Stderr = old
			w.Close()
			tp.SetRawlogLevel("INFO")
			tp.SetLogger(nil)
		}()
		fn()
	}()
	return <-text
}

// panicOf returns what fn panics with.
func panicOf(fn func()) (v interface{}) {
	defer func() { v = recover() }()
	fn()
	return nil
}

// logEverything calls each function but Fatalf, and returns the lines' levels.
func logEverything(t *testing.T) string {
	t.Helper()
	text := logOf(t, func() {
		tp.Tracef("a b")
		tp.Debugf("a b")
		tp.Infof("a b")
		tp.Noticef("a b")
		tp.Warnf("a b")
		tp.Errorf("a b")
		tp.Criticalf("a b")
		if v := panicOf(func() { tp.Panicf("a %s\n", "b") }); v != "a b" {
			t.Errorf("Panicf panicked with %v, want its text", v)
		}
		tp.Printf("a b")
	})
	line := regexp.MustCompile(`^time=\S+ level=([A-Z]+) msg="a b"$`)
	var levels []string
	for l := range strings.Lines(text) {
		m := line.FindStringSubmatch(strings.TrimSuffix(l, "\n"))
		if m == nil {
			t.Fatalf("unexpected line %q", l)
		}
		levels = append(levels, m[1])
	}
	return strings.Join(levels, " ")
}

func TestLogLevels(t *testing.T) {
	const all = "TRACE DEBUG INFO NOTICE WARN ERROR CRITICAL PANIC PRINT"
	if got, want := logEverything(t), all[strings.Index(all, "INFO"):]; got != want {
		t.Errorf("by default: got %q, want %q", got, want)
	}
	for name, first := range map[string]string{
		"TRACE": "TRACE", "trace": "TRACE", "DEBUG": "DEBUG", "Info": "INFO", "NOTICE": "NOTICE",
		"WARNING": "WARN", "WARN": "WARN", "ERROR": "ERROR", "CRITICAL": "CRITICAL",
		"PANIC": "PANIC", "FATAL": "PRINT", "PRINT": "PRINT",
	} {
		tp.SetRawlogLevel(name)
		if got, want := logEverything(t), all[strings.Index(all, first):]; got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	tp.SetRawlogLevel("off")
	if got := logEverything(t); got != "" {
		t.Errorf("OFF: got %q, want nothing", got)
	}
}

func TestLogUnknownLevel(t *testing.T) {
	text := logOf(t, func() {
		tp.SetRawlogLevel("WARNING")
		tp.SetRawlogLevel("LOUD\n")
		tp.Infof("still off")
		tp.Warnf("still on")
	})
	for _, want := range []string{"level=ERROR", "LOUD", "TRACE, DEBUG, INFO, NOTICE, WARNING, ERROR, CRITICAL", "OFF", "still on"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in %q", want, text)
		}
	}
	if strings.Contains(text, "still off") {
		t.Errorf("the unknown level changed the level: %q", text)
	}
}

// countingStringer counts how often it is formatted.
type countingStringer int

func (c *countingStringer) String() string { *c++; return "formatted" }

func TestLogFormatsOnlyWhatItWrites(t *testing.T) {
	var n countingStringer
	text := logOf(t, func() {
		tp.Debugf("%v", &n)
		tp.Tracef("%v", &n)
		if n != 0 {
			t.Errorf("a disabled level formatted %d times", n)
		}
		tp.Infof("%v", &n)
	})
	if n != 1 || strings.Count(text, "formatted") != 1 {
		t.Errorf("formatted %d times, wrote %q", n, text)
	}
}

func TestLogTrimsNewline(t *testing.T) {
	text := logOf(t, func() { tp.Infof("args: %d\nquery: %s\n", 1, "q") })
	if want := "msg=\"args: 1\\nquery: q\"\n"; !strings.HasSuffix(text, want) {
		t.Errorf("got %q, want the end %q", text, want)
	}
}

// TestLogForgedLine lets a peer try to write a line of its own.
func TestLogForgedLine(t *testing.T) {
	const forged = `time=2017-12-01T00:00:00Z level=ERROR msg="root logged in"`
	for _, evil := range []string{
		"\n" + forged, "\r\n" + forged, "\r" + forged, "\"\n" + forged, `" level=ERROR msg="x`,
		"\x1b[2K\x1b[1A" + forged, "\x1b]0;title\a", "\u009b2K" + forged,
		"\u2028" + forged, "\u2029" + forged, "\u0085" + forged, "\v" + forged, "\f" + forged,
		"\u202e" + forged, "\ufeff", "\x00", "\x7f", "\xff\xfe" + forged, "\xe2\x80", "a\\", "level=ERROR",
	} {
		for _, log := range []func(){
			func() { tp.Infof("%s", evil) },
			func() { tp.Infof("uri %s is unknown", evil) },
			func() { tp.Infof("%v", fmt.Errorf("uri %s", evil)) },
		} {
			text := logOf(t, log)
			if n := strings.Count(text, "\n"); n != 1 || !strings.HasSuffix(text, "\n") {
				t.Errorf("%q gave %d lines: %q", evil, n, text)
			}
			for _, r := range strings.TrimSuffix(text, "\n") {
				if r < ' ' || r > '~' {
					t.Errorf("%q left %q in the line %q", evil, r, text)
				}
			}
			rest, ok := strings.CutPrefix(text[strings.Index(text, " "):], " level=INFO msg=")
			if !ok {
				t.Fatalf("%q changed the head of the line: %q", evil, text)
			}
			rest = strings.TrimSuffix(rest, "\n")
			if quoted := regexp.MustCompile(`^"([^"\\]|\\.)*"$`).MatchString(rest); !quoted && strings.ContainsAny(rest, ` ="`) {
				t.Errorf("%q broke out of the quotes: %q", evil, text)
			}
		}
	}
}

// recorder is a Logger that neither exits nor panics.
type recorder struct {
	mu    sync.Mutex
	lines []string
}

var _ tp.Logger = (*recorder)(nil)

func (r *recorder) add(level, format string, args []interface{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, level+" "+fmt.Sprintf(format, args...))
}

func (r *recorder) Printf(f string, a ...interface{})    { r.add("print", f, a) }
func (r *recorder) Fatalf(f string, a ...interface{})    { r.add("fatal", f, a) }
func (r *recorder) Panicf(f string, a ...interface{})    { r.add("panic", f, a) }
func (r *recorder) Criticalf(f string, a ...interface{}) { r.add("critical", f, a) }
func (r *recorder) Errorf(f string, a ...interface{})    { r.add("error", f, a) }
func (r *recorder) Warnf(f string, a ...interface{})     { r.add("warn", f, a) }
func (r *recorder) Noticef(f string, a ...interface{})   { r.add("notice", f, a) }
func (r *recorder) Infof(f string, a ...interface{})     { r.add("info", f, a) }
func (r *recorder) Debugf(f string, a ...interface{})    { r.add("debug", f, a) }
func (r *recorder) Tracef(f string, a ...interface{})    { r.add("trace", f, a) }

func TestSetLogger(t *testing.T) {
	rec := new(recorder)
	text := logOf(t, func() {
		tp.SetLogger(rec)
		tp.SetRawlogLevel("OFF") // concerns the default logger only
		tp.Printf("%d", 1)
		tp.Criticalf("%d", 2)
		tp.Errorf("%d", 3)
		tp.Warnf("%d", 4)
		tp.Noticef("%d", 5)
		tp.Infof("%d", 6)
		tp.Debugf("%d", 7)
		tp.Tracef("%d", 8)
		if v := panicOf(func() { tp.Panicf("%d\n", 9) }); v != "9" {
			t.Errorf("Panicf panicked with %v, want 9: a caller relies on it", v)
		}
		tp.SetRawlogLevel("INFO")
		tp.SetLogger(nil)
		tp.Infof("default again")
	})
	want := "print 1,critical 2,error 3,warn 4,notice 5,info 6,debug 7,trace 8,panic 9\n"
	if got := strings.Join(rec.lines, ","); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if strings.Count(text, "\n") != 1 || !strings.Contains(text, "default again") {
		t.Errorf("stderr got %q, want only the line after SetLogger(nil)", text)
	}
}

// TestSetLoggerConcurrently means something under -race.
func TestSetLoggerConcurrently(t *testing.T) {
	rec := new(recorder)
	logOf(t, func() {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 100 {
					tp.SetLogger(rec)
					tp.Infof("x")
					tp.SetLogger(nil)
					tp.SetRawlogLevel("ERROR")
					tp.Debugf("x")
				}
			})
		}
		wg.Wait()
	})
}

func TestNewLogger(t *testing.T) {
	if l, err := tp.NewLogger(nil, "LOUD"); err == nil || l != nil || !strings.Contains(err.Error(), "NOTICE") {
		t.Errorf("NewLogger with an unknown level = %v, %v, want an error that names the levels", l, err)
	}
	var buf bytes.Buffer
	l, err := tp.NewLogger(&buf, "notice")
	if err != nil {
		t.Fatal(err)
	}
	if text := logOf(t, func() {
		tp.SetRawlogLevel("OFF") // concerns the default logger only
		l.Infof("no")
		l.Noticef("yes")
	}); text != "" {
		t.Errorf("stderr got %q", text)
	}
	if got := buf.String(); !strings.HasSuffix(got, " level=NOTICE msg=yes\n") || strings.Count(got, "\n") != 1 {
		t.Errorf("got %q", got)
	}
	toStderr, err := tp.NewLogger(nil, "TRACE")
	if err != nil {
		t.Fatal(err)
	}
	if text := logOf(t, func() { toStderr.Tracef("here") }); !strings.HasSuffix(text, " level=TRACE msg=here\n") {
		t.Errorf("stderr got %q", text)
	}
}

// TestFatalf runs itself in a second process, once for each logger.
func TestFatalf(t *testing.T) {
	const env = "TP_TEST_FATALF"
	switch os.Getenv(env) {
	case "default":
		tp.Fatalf("bye %d\n", 1)
	case "logger":
		tp.SetLogger(new(recorder))
		tp.Fatalf("bye %d\n", 1)
	case "off":
		tp.SetRawlogLevel("OFF")
		tp.Fatalf("bye %d\n", 1)
	default:
		for _, mode := range []string{"default", "logger", "off"} {
			cmd := exec.Command(os.Args[0], "-test.run=^TestFatalf$")
			cmd.Env = append(os.Environ(), env+"="+mode)
			out, err := cmd.CombinedOutput()
			if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 1 {
				t.Errorf("%s: %v, want exit status 1; output: %s", mode, err, out)
			}
			logged := bytes.HasSuffix(out, []byte(" level=FATAL msg=\"bye 1\"\n"))
			if logged != (mode == "default") {
				t.Errorf("%s: output %q", mode, out)
			}
		}
		return
	}
	fmt.Println("still alive")
	os.Exit(0)
}
