//go:build unix

package tp_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
)

// traffic is callers that pull from one address, without a break. None of their
// calls and dials may fail.
type traffic struct {
	done  atomic.Bool
	group sync.WaitGroup
	mu    sync.Mutex // protects following
	calls map[int]int
	fails []string
}

// startTraffic starts callers of two kinds: such that connect for each call,
// and such that keep their session until it refuses a call.
func startTraffic(t *testing.T, addr string, config *tls.Config) *traffic {
	t.Helper()
	tr := &traffic{calls: make(map[int]int)}
	cli := newPeer(t, tp.PeerConfig{})
	cli.SetTLSConfig(config)
	for i := range 8 {
		tr.group.Add(1)
		go func() { // waited for by end
			defer tr.group.Done()
			var sess tp.Session
			for !tr.done.Load() {
				if sess == nil {
					var rerr *tp.Rerror
					if sess, rerr = cli.Dial(addr); rerr != nil {
						tr.add(0, "dial: "+rerr.String())
						return
					}
				}
				pid, rerr := tp.Pull[int](sess, "/slow", nil)
				switch {
				case rerr == nil:
					tr.add(pid, "")
				case !rerr.MaybeSent():
					sess = nil // it was not sent: the other side had said goodbye
					continue
				default:
					tr.add(0, "pull: "+rerr.String())
					return
				}
				if i%2 == 0 {
					_ = sess.Close()
					sess = nil
				}
			}
		}()
	}
	t.Cleanup(func() { tr.end(t) })
	return tr
}

func (tr *traffic) add(pid int, failure string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if failure != "" {
		tr.fails = append(tr.fails, failure)
		return
	}
	tr.calls[pid]++
}

// awaitCalls waits until the process has answered n more.
func (tr *traffic) awaitCalls(t *testing.T, pid, n int) {
	t.Helper()
	count := func() int {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		if len(tr.fails) > 0 {
			t.Fatalf("%d callers failed: %q", len(tr.fails), tr.fails)
		}
		return tr.calls[pid]
	}
	n += count()
	eventually(t, fmt.Sprintf("process %d answers", pid), func() bool { return count() >= n })
}

func (tr *traffic) end(t *testing.T) {
	tr.done.Store(true)
	tr.group.Wait()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if len(tr.fails) > 0 {
		t.Errorf("%d callers failed: %q", len(tr.fails), tr.fails)
	}
}

// A chain of restarts loses no call and no connection.
func TestRebootUnderTraffic(t *testing.T) {
	certFile, keyFile, roots := newCert(t)
	for name, c := range map[string]struct {
		plan   rebootPlan
		config *tls.Config
	}{
		"tcp": {plan: rebootPlan{Addrs: []string{"127.0.0.1:0"}}},
		"tls": {rebootPlan{Addrs: []string{"127.0.0.1:0"}, CertFile: certFile, KeyFile: keyFile}, &tls.Config{RootCAs: roots}},
	} {
		t.Run(name, func(t *testing.T) {
			r := startRebootable(t, c.plan, testCommand())
			pid, addrs := r.await("up")
			tr := startTraffic(t, addrs[0], c.config)
			tr.awaitCalls(t, pid, 50)
			for range 3 {
				r.signal(pid, syscall.SIGUSR2)
				next, sameAddrs := r.await("up")
				if next == pid || sameAddrs[0] != addrs[0] {
					t.Errorf("process %d listens on %s, that before, %d, on %s", next, sameAddrs[0], pid, addrs[0])
				}
				for _, what := range []string{"first", "last"} {
					if ending, _ := r.await(what); ending != pid {
						t.Errorf("%q was said by process %d, want %d", what, ending, pid)
					}
				}
				tr.awaitCalls(t, next, 50)
				pid = next
			}
			r.wantExit()
			tr.end(t)
			r.stop(pid)
		})
	}
}

// A new process that fails leaves the old one serving, and the next one may
// succeed.
func TestRebootFails(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	noError(t, err)
	defer taken.Close()
	plan := rebootPlan{Addrs: []string{"127.0.0.1:0"}}
	r := startRebootable(t, plan, testCommand())
	pid, addrs := r.await("up")
	tr := startTraffic(t, addrs[0], nil)
	for _, c := range []struct {
		next    rebootPlan
		timeout time.Duration
		log     string
	}{
		{rebootPlan{Start: "crash"}, patience, "ended before it was ready: exit status 7"},
		{rebootPlan{Start: "hang"}, 2 * time.Second, "was not ready in 2s"},
		{rebootPlan{Addrs: append(plan.Addrs, taken.Addr().String())}, patience, "ended before it was ready: exit status 1"},
		{rebootPlan{Addrs: plan.Addrs, Second: taken.Addr().String()}, patience, "ended before it was ready: exit status 6"},
		{rebootPlan{Start: "warm", Addrs: plan.Addrs, Warm: "/nowhere"}, 2 * time.Second, "was not ready in 2s"},
	} {
		r.write(c.next)
		before := strings.Count(r.log(), c.log)
		noRerror(t, dial(t, newPeer(t, tp.PeerConfig{}), addrs[0]).Push("/reboot", c.timeout))
		r.awaitLog(c.log, before+1)
		tr.awaitCalls(t, pid, 50)
	}
	r.wantSilent("first")
	r.write(plan)
	r.signal(pid, syscall.SIGUSR2)
	r.wantExit()
	tr.mu.Lock()
	for other := range tr.calls {
		if other != pid && servedBy(t, addrs[0]) != other {
			t.Errorf("process %d, which failed, accepted", other)
		}
	}
	tr.mu.Unlock()
}

// One restart at a time; and a process that is not ready restarts not at all.
func TestRebootTwice(t *testing.T) {
	warm := filepath.Join(t.TempDir(), "warm")
	plan := rebootPlan{Addrs: []string{"127.0.0.1:0"}}
	r := startRebootable(t, plan, testCommand())
	pid, addrs := r.await("up")
	r.write(rebootPlan{Addrs: plan.Addrs, Start: "warm", Warm: warm})
	r.signal(pid, syscall.SIGUSR2)
	next, _ := r.await("up")
	r.signal(pid, syscall.SIGUSR2)
	r.awaitLog("another one is under way; the process goes on", 1)
	r.signal(next, syscall.SIGUSR2)
	r.awaitLog("not ready itself: it is held by HoldReady; the process goes on", 1)
	for range 20 {
		if got := servedBy(t, addrs[0]); got != pid {
			t.Errorf("process %d accepts before it is ready", got)
		}
	}
	noError(t, os.WriteFile(warm, nil, 0o600))
	r.wantExit()
	if got := servedBy(t, addrs[0]); got != next {
		t.Errorf("process %d answers, want %d", got, next)
	}
	r.stop(next)
	r.wantSilent("up")
}

// Shutdown calls a restart off whose new process is not ready. One that has the
// socket and does nothing with it must not hold up the accepts of the old one.
func TestShutdownCallsRebootOff(t *testing.T) {
	plan := rebootPlan{Addrs: []string{"127.0.0.1:0"}}
	r := startRebootable(t, plan, testCommand())
	pid, addrs := r.await("up")
	r.write(rebootPlan{Start: "hang"})
	r.signal(pid, syscall.SIGUSR2)
	r.await("hangs")
	if got := servedBy(t, addrs[0]); got != pid {
		t.Errorf("process %d answers, want %d", got, pid)
	}
	r.stop(pid)
	r.awaitLog("is not needed: this one is ending", 1)
	r.wantExit()
}

// Whoever the old process has accepted is served by it, though it has not said
// anything yet, or not even been let in.
func TestRebootServesWhatIsAccepted(t *testing.T) {
	for _, greet := range []bool{true, false} {
		t.Run(fmt.Sprintf("greet=%v", greet), func(t *testing.T) {
			plan := rebootPlan{Addrs: []string{"127.0.0.1:0"}, Greet: greet}
			r := startRebootable(t, plan, testCommand())
			pid, addrs := r.await("up")
			handedOver := make(chan struct{})
			cli := newPeer(t, tp.PeerConfig{DefaultDialTimeout: patience}, &sessionHooks{dial: func(s tp.PreSession) *tp.Rerror {
				if greet {
					<-handedOver
					return tp.ToRerror(s.Send(tp.GetPacket(socket.WithPtype(tp.TypePush))))
				}
				return nil
			}})
			dialed := make(chan tp.Session, 1)
			go func() { dialed <- dial(t, cli, addrs[0]) }()
			if greet {
				r.await("accepts")
			} else {
				sess := receive(t, dialed)
				time.Sleep(50 * time.Millisecond) // it is accepted now, which nothing tells
				dialed <- sess
			}
			r.signal(pid, syscall.SIGUSR2)
			r.awaitLog("has taken over", 1)
			// What is not let in yet is waited for within the bound of the drain, what
			// is silent for a second.
			pause := 100 * time.Millisecond
			if greet {
				pause = 1500 * time.Millisecond
			}
			time.Sleep(pause)
			close(handedOver)
			sess := receive(t, dialed)
			if got, rerr := tp.Pull[int](sess, "/pid", nil); rerr != nil || got != pid {
				t.Errorf("got %d, %v, want an answer of process %d", got, rerr, pid)
			}
			r.wantExit()
		})
	}
}

// The socket file belongs to the process that serves it: it stays over a
// restart, also one that fails, and goes at the end.
func TestRebootUnixSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "tp") // paths of sockets are short
	noError(t, err)
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "socket")
	r := startRebootable(t, rebootPlan{Unix: path}, testCommand())
	pid, _ := r.await("up")
	r.write(rebootPlan{Unix: path, Start: "warm", Warm: "/nowhere", Addrs: []string{"256.0.0.1:0"}})
	r.signal(pid, syscall.SIGUSR2)
	r.awaitLog("ended before it was ready", 1)
	if got := servedBy(t, path); got != pid {
		t.Errorf("process %d answers, want %d", got, pid)
	}
	r.write(rebootPlan{Unix: path})
	for range 2 {
		r.signal(pid, syscall.SIGUSR2)
		next, _ := r.await("up")
		if ended, _ := r.await("last"); ended != pid {
			t.Errorf("process %d ended, want %d", ended, pid)
		}
		eventually(t, "the next one answers", func() bool { return servedBy(t, path) == next })
		pid = next
	}
	r.stop(pid)
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the socket file is still there: %v", err)
	}
}

// So it is with addresses of Peer.Listen: those of TCP, TLS and unix sockets are
// handed on, and one in memory is of each process.
func TestRebootSchemes(t *testing.T) {
	dir, err := os.MkdirTemp("", "tp")
	noError(t, err)
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "socket")
	certFile, keyFile, roots := newCert(t)
	plan := rebootPlan{Addrs: []string{"tls://127.0.0.1:0", "unix://" + path, "mem://x", "ws://127.0.0.2:0/tp"}, CertFile: certFile, KeyFile: keyFile}
	r := startRebootable(t, plan, testCommand())
	cli := newPeer(t, tp.PeerConfig{})
	cli.SetTLSConfig(&tls.Config{RootCAs: roots})
	pid, addrs := r.await("up")
	if len(addrs) != 4 || addrs[0] != path || addrs[3] != "mem://x" {
		t.Fatalf("it listens on %q", addrs)
	}
	tr := startTraffic(t, "unix://"+path, nil)
	tr.awaitCalls(t, pid, 20)
	for range 2 {
		r.signal(pid, syscall.SIGUSR2)
		next, sameAddrs := r.await("up")
		if !slices.Equal(sameAddrs, addrs) {
			t.Errorf("the next process listens on %q, that before on %q", sameAddrs, addrs)
		}
		if ended, _ := r.await("last"); ended != pid {
			t.Errorf("process %d ended, want %d", ended, pid)
		}
		for _, addr := range []string{"unix://" + path, "tls://" + addrs[1], "ws://" + addrs[2] + "/tp"} {
			got, rerr := tp.Pull[int](dial(t, cli, addr), "/pid", nil)
			if noRerror(t, rerr); got != next {
				t.Errorf("%s is served by process %d, want %d", addr, got, next)
			}
		}
		tr.awaitCalls(t, next, 20)
		pid = next
	}
	tr.end(t)
	r.stop(pid)
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the socket file is still there: %v", err)
	}
}

// What is started is the file that the program was started from, found from
// where it was started, as it is now.
func TestRebootReplacedBinary(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "server")
	binary, err := filepath.Abs(os.Args[0])
	noError(t, err)
	noError(t, os.Symlink(binary, program))
	cmd := exec.Command("./server", "-test.run=^TestRebootProcess$")
	cmd.Dir = dir
	r := startRebootable(t, rebootPlan{Addrs: []string{"127.0.0.1:0"}}, cmd)
	pid, addrs := r.await("up")

	noError(t, os.Remove(program))
	r.signal(pid, syscall.SIGUSR2)
	r.awaitLog("no such file or directory; the process goes on", 1)
	if got := servedBy(t, addrs[0]); got != pid {
		t.Errorf("process %d answers, want %d", got, pid)
	}
	script := "#!/bin/sh\necho replaced $$ $PWD\nexec " + binary + " \"$@\"\n"
	noError(t, os.WriteFile(program, []byte(script), 0o700))
	r.signal(pid, syscall.SIGUSR2)
	r.wantExit()
	replaced, where := r.await("replaced")
	if got := servedBy(t, addrs[0]); got != replaced {
		t.Errorf("process %d answers, want %d", got, replaced)
	}
	if want, err := filepath.EvalSymlinks(dir); err != nil || where[0] != want && where[0] != dir {
		t.Errorf("it was started in %s, want %s", where[0], want)
	}
}

// A new version may listen elsewhere.
func TestRebootChangedAddrs(t *testing.T) {
	r := startRebootable(t, rebootPlan{Addrs: []string{"127.0.0.1:0", "0.0.0.0:0"}}, testCommand())
	pid, addrs := r.await("up")
	_, port, err := net.SplitHostPort(addrs[1])
	noError(t, err)
	r.write(rebootPlan{Addrs: []string{":" + port, "127.0.0.2:0"}})
	r.signal(pid, syscall.SIGUSR2)
	next, now := r.await("up")
	r.wantExit()
	if now[len(now)-1] != addrs[1] && now[0] != addrs[1] {
		t.Errorf("it listens on %v, want %s again", now, addrs[1])
	}
	if got := servedBy(t, "127.0.0.1:"+port); got != next {
		t.Errorf("process %d answers, want %d", got, next)
	}
	r.awaitLog("the inherited listener "+addrs[0]+" is closed: nothing listens there", 1)
	if conn, err := net.Dial("tcp", addrs[0]); err == nil {
		_ = conn.Close()
		t.Error("the address that was given up is still listened on")
	}
	r.stop(next)
}

// A new process may try again until the address is free that it lacks: the
// listeners that it inherited are not lost by that.
func TestRebootListensAgain(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	noError(t, err)
	defer taken.Close()
	r := startRebootable(t, rebootPlan{Addrs: []string{"127.0.0.1:0"}}, testCommand())
	pid, addrs := r.await("up")
	r.write(rebootPlan{Addrs: []string{"127.0.0.1:0", taken.Addr().String()}, Patient: true})
	r.signal(pid, syscall.SIGUSR2)
	r.awaitLog("again: tp: cannot listen on "+taken.Addr().String(), 3)
	noError(t, taken.Close())
	r.wantExit()
	next, now := r.await("up")
	if got := servedBy(t, addrs[0]); got != next || len(now) != 2 {
		t.Errorf("process %d answers, want %d, which listens on %v", got, next, now)
	}
	r.stop(next)
}

// Where the new process would end with the old one there is no restart.
func TestRebootUnderSystemdNeedsNotify(t *testing.T) {
	cmd := exec.Command("/bin/sh", "-c", `export SYSTEMD_EXEC_PID=$$; exec "$@"`, "sh", os.Args[0], "-test.run=^TestRebootProcess$")
	r := startRebootable(t, rebootPlan{Addrs: []string{"127.0.0.1:0"}}, cmd)
	pid, _ := r.await("up")
	r.signal(pid, syscall.SIGUSR2)
	r.awaitLog("its unit needs Type=notify", 1)
	r.stop(pid)
}

// A peer that has listeners has them from systemd, and keeps it informed.
func TestSystemd(t *testing.T) {
	dir, err := os.MkdirTemp("", "tp")
	noError(t, err)
	defer os.RemoveAll(dir)
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	noError(t, err)
	defer notify.Close()
	awaitState := func(want string) {
		t.Helper()
		b := make([]byte, 4096)
		noError(t, notify.SetReadDeadline(time.Now().Add(patience)))
		n, err := notify.Read(b)
		noError(t, err)
		if got := string(b[:n]); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}

	// A socket unit: two addresses, a unix socket, one too many, and no listener.
	lis4, err := net.Listen("tcp4", "0.0.0.0:0")
	noError(t, err)
	loop, err := net.Listen("tcp", "127.0.0.1:0")
	noError(t, err)
	unix, err := net.Listen("unix", filepath.Join(dir, "socket"))
	noError(t, err)
	left, err := net.Listen("tcp", "127.0.0.1:0")
	noError(t, err)
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	noError(t, err)
	unix.(*net.UnixListener).SetUnlinkOnClose(false)
	cmd := exec.Command("/bin/sh", "-c", `export LISTEN_PID=$$ WATCHDOG_PID=$$; exec "$@"`, "sh", os.Args[0], "-test.run=^TestRebootProcess$")
	for _, socket := range []interface{ File() (*os.File, error) }{
		lis4.(*net.TCPListener), loop.(*net.TCPListener), unix.(*net.UnixListener), left.(*net.TCPListener), packets.(*net.UDPConn),
	} {
		file, err := socket.File()
		noError(t, err)
		defer file.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, file)
	}
	cmd.Env = []string{"LISTEN_FDS=5", "LISTEN_FDNAMES=web:web:api:spare:other", "NOTIFY_SOCKET=" + notify.LocalAddr().String()}
	_, port, _ := net.SplitHostPort(lis4.Addr().String())
	plan := rebootPlan{Addrs: []string{loop.Addr().String(), ":" + port}, Unix: "api"}
	r := startRebootable(t, plan, cmd)
	pid, addrs := r.await("up")
	want := fmt.Sprintf("[%v %v %v]", unix.Addr(), lis4.Addr(), loop.Addr())
	if got := fmt.Sprint(addrs); len(addrs) != 3 || !strings.Contains(got, lis4.Addr().String()) || !strings.Contains(got, loop.Addr().String()) {
		t.Errorf("it listens on %s, want %s", got, want)
	}
	awaitState("READY=1")
	r.awaitLog("the inherited listener spare ("+left.Addr().String()+") is closed", 1)
	r.awaitLog("the inherited file descriptor 7", 1)
	for _, lis := range []net.Listener{lis4, loop, unix} {
		_ = lis.Close()
	}
	places := []string{"127.0.0.1:" + port, loop.Addr().String(), unix.Addr().String()}
	for range 2 {
		r.signal(pid, syscall.SIGUSR2)
		next, _ := r.await("up")
		awaitState(fmt.Sprintf("MAINPID=%d", next))
		awaitState(fmt.Sprintf("MAINPID=%d\nREADY=1", next))
		if ended, _ := r.await("last"); ended != pid {
			t.Errorf("process %d ended, want %d", ended, pid)
		}
		for _, place := range places {
			if got := servedBy(t, place); got != next {
				t.Errorf("%s: process %d answers, want %d", place, got, next)
			}
		}
		pid = next
	}
	r.signal(pid, syscall.SIGTERM)
	awaitState("STOPPING=1")
	receive(t, r.gone)
	if _, ok := r.says("still has WATCHDOG_PID"); !ok {
		t.Error("the first process has no WATCHDOG_PID")
	}
	r.wantSilent("still has")
	if _, err := os.Stat(unix.Addr().String()); err != nil {
		t.Errorf("the socket file is systemd's: %v", err)
	}
}

// Variables that are another process's are left alone.
func TestListenersOfAnotherProcess(t *testing.T) {
	cmd := testCommand()
	cmd.Env = []string{"LISTEN_FDS=1", "LISTEN_PID=1", "TP_LISTEN_PPID=1"}
	r := startRebootable(t, rebootPlan{Addrs: []string{"127.0.0.1:0"}}, cmd)
	pid, addrs := r.await("up")
	if got := servedBy(t, addrs[0]); got != pid {
		t.Errorf("process %d answers, want %d", got, pid)
	}
	for _, name := range []string{"LISTEN_FDS", "LISTEN_PID", "TP_LISTEN_PPID"} {
		if _, ok := r.says("still has " + name); !ok {
			t.Errorf("%s was removed", name)
		}
	}
}
