//go:build unix

package tp_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
)

const rebootEnv = "TP_TEST_REBOOT"

// rebootPlan is what a process of TestRebootProcess reads when it starts. A
// test may write another for the next one.
type rebootPlan struct {
	Addrs    []string // of Peer.Listen
	Unix     string   // of InheritListener
	CertFile string
	KeyFile  string
	Greet    bool   // PostAccept waits for a first packet
	Second   string // address of a second peer; if it cannot listen, that is closed and the process ends
	Patient  bool   // Listen is tried again when it fails
	Start    string // "", "crash", "hang", or "warm": HoldReady until the file Warm is there
	Warm     string
	Bound    time.Duration // of the drain; 0 is patience
	Once     string        // the file to which pulls of "/once" add their ids
}

// TestRebootProcess is the server of the tests below, in a process of its own.
func TestRebootProcess(t *testing.T) {
	file := os.Getenv(rebootEnv)
	if file == "" {
		t.Skip("run by the other tests in a process of its own")
	}
	go func() { // no process outlives its test
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(9)
	}()
	b, err := os.ReadFile(file)
	var plan rebootPlan
	if err == nil {
		err = json.Unmarshal(b, &plan)
	}
	if err == nil {
		err = os.Chdir("/")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(8)
	}
	pid := os.Getpid()
	switch plan.Start {
	case "crash":
		os.Exit(7)
	case "hang":
		fmt.Println("hangs", pid)
		select {}
	case "warm":
		release := tp.HoldReady()
		go func() {
			fmt.Println("warms up", pid)
			for {
				if _, err := os.Stat(plan.Warm); err == nil {
					release()
					return
				}
				time.Sleep(time.Millisecond)
			}
		}()
	}
	said := func(what string) func() error {
		return func() error { fmt.Println(what, pid); return nil }
	}
	var noted atomic.Int64
	bound := patience
	if plan.Bound > 0 {
		bound = plan.Bound
	}
	tp.SetShutdown(bound, said("first"), func() error {
		fmt.Println("noted", pid, noted.Load())
		return said("last")()
	})
	cfg := tp.PeerConfig{ListenAddrs: plan.Addrs, TlsCertFile: plan.CertFile, TlsKeyFile: plan.KeyFile, AcceptTimeout: patience}
	p := tp.NewPeer(&cfg, &sessionHooks{accept: func(s tp.PreSession) *tp.Rerror {
		if plan.Greet {
			fmt.Println("accepts", pid)
			if err := s.Receive(new(socket.Packet)); err != nil {
				return tp.ToRerror(err)
			}
		}
		return nil
	}})
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "LISTEN_") || strings.HasPrefix(name, "TP_LISTEN") || name == "NOTIFY_SOCKET" || name == "WATCHDOG_PID" {
			fmt.Println("still has", name)
		}
	}
	tp.RegPull(p.PullRouter, "pid", func(tp.PullCtx, *interface{}) (int, *tp.Rerror) { return pid, nil })
	tp.RegPull(p.PullRouter, "slow", func(tp.PullCtx, *interface{}) (int, *tp.Rerror) {
		time.Sleep(20 * time.Millisecond)
		return pid, nil
	})
	tp.RegPull(p.PullRouter, "hang", func(tp.PullCtx, *interface{}) (int, *tp.Rerror) { select {} })
	tp.RegPush(p.PushRouter, "note", func(tp.PushCtx, *int) { noted.Add(1) })
	if plan.Once != "" {
		once, err := os.OpenFile(plan.Once, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			tp.Fatalf("%v", err)
		}
		tp.RegPull(p.PullRouter, "once", func(_ tp.PullCtx, id *string) (int, *tp.Rerror) {
			if _, err := once.WriteString(*id + "\n"); err != nil {
				return 0, tp.ToRerror(err)
			}
			time.Sleep(time.Millisecond)
			return pid, nil
		})
	}
	tp.RegPush(p.PushRouter, "reboot", func(_ tp.PushCtx, timeout *time.Duration) { go tp.Reboot(*timeout) })
	go tp.GraceSignal()
	go func() {
		want := len(plan.Addrs)
		if plan.Unix != "" {
			want++
		}
		for len(p.Addrs()) < want || !strings.Contains(allStacks(), "[chan receive]:\ngithub.com/henrylee2cn/teleport.GraceSignal(") {
			time.Sleep(time.Millisecond)
		}
		var addrs []string
		for _, addr := range p.Addrs() {
			addrs = append(addrs, addr.String())
		}
		slices.Sort(addrs)
		fmt.Println("up", pid, strings.Join(addrs, " "))
	}()
	if plan.Unix != "" {
		lis, err := tp.InheritListener("unix", plan.Unix)
		if err != nil {
			tp.Fatalf("%v", err)
		}
		serve := func() { tp.Fatalf("%v", p.ServeListener(lis)) }
		if len(plan.Addrs) == 0 {
			serve()
		}
		go serve()
	}
	if plan.Second != "" {
		second := tp.NewPeer(&tp.PeerConfig{ListenAddrs: []string{plan.Second}})
		go func() {
			for len(p.Addrs()) == 0 {
				time.Sleep(time.Millisecond)
			}
			if err := second.Listen(); err != nil {
				_ = second.Close()
				time.Sleep(100 * time.Millisecond)
				os.Exit(6)
			}
		}()
	}
	err = p.Listen()
	for plan.Patient && !errors.Is(err, net.ErrClosed) {
		tp.Errorf("again: %v", err)
		time.Sleep(10 * time.Millisecond)
		err = p.Listen()
	}
	tp.Fatalf("%v", err)
}

// rebootable is a process of TestRebootProcess, and those that follow it.
type rebootable struct {
	t      *testing.T
	cmd    *exec.Cmd
	plan   string
	logTo  string
	exited chan struct{} // closed when the first process has ended
	gone   chan struct{} // closed when all have

	mu    sync.Mutex // protects following
	lines []string   // of the output, that were not waited for
}

// startRebootable starts the command, which runs this binary in the end.
func startRebootable(t *testing.T, plan rebootPlan, cmd *exec.Cmd) *rebootable {
	t.Helper()
	dir := t.TempDir()
	r := &rebootable{
		t: t, cmd: cmd,
		plan: filepath.Join(dir, "plan"), logTo: filepath.Join(dir, "log"),
		exited: make(chan struct{}), gone: make(chan struct{}),
	}
	r.write(plan)
	in, lifeline, err := os.Pipe()
	noError(t, err)
	out, stdout, err := os.Pipe()
	noError(t, err)
	stderr, err := os.OpenFile(r.logTo, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	noError(t, err)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, stdout, stderr
	cmd.Env = append(os.Environ(), append(cmd.Env, rebootEnv+"="+r.plan, "GORACE=atexit_sleep_ms=0")...)
	noError(t, cmd.Start())
	for _, file := range []*os.File{in, stdout, stderr} {
		_ = file.Close()
	}
	go func() {
		_ = cmd.Wait()
		close(r.exited)
	}()
	go func() {
		defer close(r.gone)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			r.mu.Lock()
			r.lines = append(r.lines, lines.Text())
			r.mu.Unlock()
		}
		_ = out.Close()
	}()
	t.Cleanup(func() {
		_ = lifeline.Close()
		receive(t, r.exited)
		receive(t, r.gone)
		if log := r.log(); strings.Contains(log, "DATA RACE") || t.Failed() {
			t.Errorf("the log: %s", log)
		}
	})
	return r
}

// testCommand runs this binary as a process of TestRebootProcess.
func testCommand() *exec.Cmd { return exec.Command(os.Args[0], "-test.run=^TestRebootProcess$") }

// write writes the plan of the next process.
func (r *rebootable) write(plan rebootPlan) {
	r.t.Helper()
	b, err := json.Marshal(plan)
	noError(r.t, err)
	noError(r.t, os.WriteFile(r.plan, b, 0o600))
}

func (r *rebootable) log() string {
	b, err := os.ReadFile(r.logTo)
	noError(r.t, err)
	return string(b)
}

// awaitLog waits until the log has the text n times.
func (r *rebootable) awaitLog(text string, n int) {
	r.t.Helper()
	eventually(r.t, fmt.Sprintf("%q is in the log %d times", text, n), func() bool { return strings.Count(r.log(), text) >= n })
}

// says takes the first line that begins with prefix off the output.
func (r *rebootable) says(prefix string) (line string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.lines, func(line string) bool { return strings.HasPrefix(line, prefix) })
	if i < 0 {
		return "", false
	}
	line = r.lines[i]
	r.lines = slices.Delete(r.lines, i, i+1)
	return line, true
}

// await waits for a line "prefix pid rest".
func (r *rebootable) await(prefix string) (pid int, rest []string) {
	r.t.Helper()
	var line string
	eventually(r.t, "the process says "+prefix, func() (ok bool) {
		line, ok = r.says(prefix + " ")
		return ok
	})
	words := strings.Fields(strings.TrimPrefix(line, prefix))
	pid, err := strconv.Atoi(words[0])
	noError(r.t, err)
	return pid, words[1:]
}

// signal signals a process that has said its pid and not ended.
func (r *rebootable) signal(pid int, s syscall.Signal) {
	r.t.Helper()
	noError(r.t, syscall.Kill(pid, s))
}

// wantExit waits until the first process has ended, and fails unless with 0.
func (r *rebootable) wantExit() {
	r.t.Helper()
	receive(r.t, r.exited)
	if code := r.cmd.ProcessState.ExitCode(); code != 0 {
		r.t.Errorf("exit code %d, want 0", code)
	}
}

// wantSilent fails if a line that begins with prefix was not waited for.
func (r *rebootable) wantSilent(prefix string) {
	r.t.Helper()
	if line, ok := r.says(prefix); ok {
		r.t.Errorf("a process said %q", line)
	}
}

// stop ends the last process by SIGTERM, after which there is none.
func (r *rebootable) stop(pid int) {
	r.t.Helper()
	r.signal(pid, syscall.SIGTERM)
	receive(r.t, r.gone)
	if _, ok := r.says(fmt.Sprint("last ", pid)); !ok {
		r.t.Errorf("process %d has not ended in order", pid)
	}
	r.wantSilent("still has")
}

// servedBy returns the pid of the process that answers on a new connection.
func servedBy(t testing.TB, addr string) int {
	t.Helper()
	network := "tcp"
	if strings.HasPrefix(addr, "/") {
		network = "unix"
	}
	conn, err := net.Dial(network, addr)
	noError(t, err)
	pid, rerr := tp.Pull[int](newPeer(t, tp.PeerConfig{}).ServeConn(conn), "/pid", nil)
	noRerror(t, rerr)
	return pid
}
