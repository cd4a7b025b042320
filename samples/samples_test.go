package samples_test

import (
	"bytes"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/henrylee2cn/teleport/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

func TestQuickstart(t *testing.T) {
	p := start(t, build(t, "quickstart"))
	p.ends(0)
	p.printed("pull: 7\npush: dividing 42 by 6\nerror: 1001 cannot divide by zero\n")
}

func TestSocket(t *testing.T) {
	p := start(t, build(t, "socket"))
	p.ends(0)
	p.printed("server: seq=7 trace-id=abc123 body=[1 2 3]\n" +
		"client: seq=7 trace-id=abc123 body=\"the sum is 6\"\n")
}

func TestPlugin(t *testing.T) {
	p := start(t, build(t, "plugin"))
	p.ends(0)
	got := regexp.MustCompile(`, in [0-9.]+[nµm]?s\n`).ReplaceAllString(p.out.String(), ", in TIME\n")
	want := `server: pull "/time", ok, in TIME
client: /time: noon
server: pull "/admin/stop", 401, in TIME
client: /admin/stop: a valid token is needed
server: pull "/nowhere", 404, in TIME
client: /nowhere: Not Found
server: pull "/time", ok, in TIME
client: /time: noon
server: pull "/admin/stop", ok, in TIME
client: /admin/stop: stopping
server: pull "/nowhere", 404, in TIME
client: /nowhere: Not Found
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestTLS(t *testing.T) {
	p := start(t, build(t, "tls"))
	p.ends(0)
	p.printed("with the root: hello, in private\n", "without it: Dial Failed: ", "certificate")
}

func TestSimple(t *testing.T) {
	server, addr := startServer(t, build(t, "simple/server"))
	client := build(t, "simple/client")
	for _, notice := range []string{"you are visitor 1", "you are visitor 2"} {
		c := start(t, client, "-addr", addr)
		c.ends(0)
		c.printed("hello: hello Ann (en)\nnotice: "+notice+"\n",
			"error: code 1001, who are you?, Name is empty\n",
			"unknown: nothing at /nowhere, but here is your body again: [1 2]\n")
		server.prints(`report: "Ann has seen everything"`)
	}
	server.terminates()

	c := start(t, client, "-addr", addr)
	c.ends(1)
	c.logged("Dial Failed")
}

func TestChat(t *testing.T) {
	server, addr := startServer(t, build(t, "chat/server"))
	client := build(t, "chat/client")

	ann := start(t, client, "-addr", addr, "-name", "ann")
	ann.prints("* here: ann\n")
	bob := start(t, client, "-addr", addr, "-name", "bob")
	bob.prints("* here: ann, bob\n")
	ann.prints("* bob has joined\n")

	ann.types("hello\x1b[2J bob")
	bob.prints("ann: hello[2J bob\n") // without the escape character
	bob.types("hello ann")
	bob.types("/who")
	ann.prints("bob: hello ann\n")
	bob.prints("ann: hello[2J bob\n* here: ann, bob\n")

	second := start(t, client, "-addr", addr, "-name", "ann")
	second.ends(1)
	second.logged("the name is taken")
	second = start(t, client, "-addr", addr, "-name", "127.0.0.1:1")
	second.ends(1)
	second.logged("a name is 1 to 20 letters")

	bob.types("bye")
	bob.types("/quit")
	bob.ends(0)
	ann.prints("bob: bye\n* bob has left\n")
	if got := bob.out.String(); strings.Contains(got, "bob:") {
		t.Errorf("bob hears himself:\n%s", got)
	}

	server.terminates()
	ann.ends(0)
	ann.prints("* the server has closed the connection\n")
}

// build returns the program of a folder, with the race detector if the tests
// have it.
func build(t *testing.T, folder string) string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no go command to build the samples with")
	}
	program := filepath.Join(t.TempDir(), strings.ReplaceAll(folder, "/", "-")+".exe")
	args := []string{"build", "-o", program, "./" + folder}
	if raceEnabled {
		args = slices.Insert(args, 1, "-race")
	}
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return program
}

// process is a program under test.
type process struct {
	t        *testing.T
	cmd      *exec.Cmd
	stdin    io.WriteCloser
	out, log output
	exited   chan struct{} // closed when the program has ended and all its output is here
}

// start starts a program, which is killed at the test's end if it still runs.
func start(t *testing.T, program string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(program, args...), exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.log
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.exited)
		_ = p.cmd.Wait() // ends looks at the exit code
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.exited
		if t.Failed() {
			t.Logf("%s %v printed\n%s\nand logged\n%s", filepath.Base(program), args, p.out.String(), p.log.String())
		}
	})
	return p
}

// startServer starts a server on a port that the kernel chooses.
func startServer(t *testing.T, program string) (p *process, addr string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("no SIGTERM, so the server cannot be ended as it should")
	}
	p = start(t, program, "-addr", "127.0.0.1:0")
	line := regexp.MustCompile(`listening on (\S+)\n`)
	p.prints("listening on", "\n")
	return p, line.FindStringSubmatch(p.out.String())[1]
}

// prints waits until the program has printed the texts.
func (p *process) prints(texts ...string) {
	p.t.Helper()
	if !p.out.await(texts, p.exited) {
		p.t.Fatalf("not in %v: %q", patience, texts)
	}
}

// printed fails unless the program has printed the texts.
func (p *process) printed(texts ...string) {
	p.t.Helper()
	if missing := p.out.missing(texts); missing != "" {
		p.t.Fatalf("not printed: %q", missing)
	}
}

// logged fails unless the program has logged the text.
func (p *process) logged(text string) {
	p.t.Helper()
	if p.log.missing([]string{text}) != "" {
		p.t.Fatalf("not logged: %q", text)
	}
}

// types gives the program a line of standard input.
func (p *process) types(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p.stdin, line+"\n"); err != nil {
		p.t.Fatal(err)
	}
}

// ends waits until the program has ended, which must be with the exit code.
func (p *process) ends(code int) {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.t.Fatalf("not ended in %v", patience)
	}
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		p.t.Fatalf("ended with %v, want exit code %d", p.cmd.ProcessState, code)
	}
}

// terminates ends a server in good order.
func (p *process) terminates() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	p.ends(0)
}

// output is what a program writes.
type output struct {
	mu      sync.Mutex // protects following
	buf     bytes.Buffer
	changed chan struct{} // closed at the next Write, if somebody waits
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
	return o.buf.Write(b)
}

// String returns all that was written.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// missing returns the first of the texts that was not written.
func (o *output) missing(texts []string) string {
	all := o.String()
	for _, text := range texts {
		if !strings.Contains(all, text) {
			return text
		}
	}
	return ""
}

// await waits for the texts. False means that they will not come any more, or
// not in time.
func (o *output) await(texts []string, exited <-chan struct{}) bool {
	timeout := time.After(patience)
	for {
		o.mu.Lock()
		if o.changed == nil {
			o.changed = make(chan struct{})
		}
		changed := o.changed
		o.mu.Unlock()
		if o.missing(texts) == "" {
			return true
		}
		select {
		case <-changed:
		case <-exited:
			return o.missing(texts) == ""
		case <-timeout:
			return false
		}
	}
}
