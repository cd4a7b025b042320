//go:build unix

package tp_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

const scarceEnv = "TP_TEST_SCARCE"

// scarce is what the process of TestScarceProcess tells of itself.
type scarce struct {
	Failures int           // to accept, in the log
	CPU      time.Duration // used
	Memory   int           // bytes that the runtime has from the system
}

// TestScarceProcess is the server of the tests below, in a process of its own that
// has few of something.
func TestScarceProcess(t *testing.T) {
	what := os.Getenv(scarceEnv)
	if what == "" {
		t.Skip("run by the other tests in a process of its own")
	}
	if what == "files" {
		few := &syscall.Rlimit{}
		noError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, few))
		few.Cur = 64
		noError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, few))
	}
	log := new(logBook)
	p := tp.NewPeer(&tp.PeerConfig{
		Logger: log, ListenAddrs: []string{"127.0.0.1:0"},
		PacketSizeLimit: 1 << 20, WriteQueueLimit: 64 << 10, MaxSessionHandlers: 2, MaxHandlers: 96, FrameTimeout: 2 * time.Second, DefaultWriteTimeout: 3 * time.Second,
	})
	echo(p)
	tp.RegPull(p.PullRouter, "scarce", func(tp.PullCtx, *[]byte) (scarce, *tp.Rerror) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return scarce{strings.Count(log.String(), "cannot accept"), processCPU(), int(m.Sys - m.HeapReleased)}, nil
	})
	go func() {
		for len(p.Addrs()) == 0 {
			time.Sleep(time.Millisecond)
		}
		fmt.Println("up", p.Addrs()[0])
		_, _ = io.Copy(io.Discard, os.Stdin) // no process outlives its test
		os.Exit(0)
	}()
	tp.Fatalf("%v", p.Listen())
}

// startScarce starts it, and returns its address.
func startScarce(t *testing.T, what string, env ...string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestScarceProcess$")
	cmd.Env = append(append(os.Environ(), scarceEnv+"="+what), env...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	noError(t, err)
	out, err := cmd.StdoutPipe()
	noError(t, err)
	noError(t, cmd.Start())
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the process: %v", err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "up ") {
		t.Fatalf("the process says %q, %v", line, err)
	}
	return strings.TrimSpace(line[3:])
}

// When there are no file descriptors left, the sessions that are there go on, the
// listener waits without working, and takes connections when there are some again.
func TestFaultNoFileDescriptors(t *testing.T) {
	addr := startScarce(t, "files")
	cli := newPeer(t, tp.PeerConfig{DefaultPullTimeout: patience})
	sess := dial(t, cli, addr)
	tell := func() (now scarce) {
		t.Helper()
		now, rerr := tp.Pull[scarce](sess, "/scarce", nil)
		noRerror(t, rerr)
		return now
	}
	before := tell()
	for round := range 2 {
		var taken []net.Conn
		for range 200 { // more wait in the queue of the kernel
			conn, err := net.Dial("tcp", addr)
			noError(t, err)
			taken = append(taken, conn)
		}
		failed := tell().Failures
		eventually(t, "there are none left", func() bool { return tell().Failures > failed+2 })
		begin := tell()
		time.Sleep(time.Duration(size(200, 3000)) * time.Millisecond)
		end := tell()
		for _, conn := range taken {
			_ = conn.Close()
		}
		began := time.Now()
		noRerror(t, dial(t, cli, addr).Pull("/echo", nil, nil).Rerror())
		t.Logf("round %d: 64 descriptors, 200 connections: %d failures to accept, %v of CPU meanwhile; another client was served %v after they had gone",
			round, end.Failures-before.Failures, end.CPU-begin.CPU, time.Since(began).Round(time.Millisecond))
		if n := end.Failures - begin.Failures; n > 100 {
			t.Errorf("%d attempts to accept", n)
		}
		before = end
	}
}

// With a memory limit, peers that send halves of packets, never read, or send more
// than there are handlers for, do not make the process exceed it by much, and others
// are served.
func TestFaultMemoryLimit(t *testing.T) {
	const limit = 96 << 20
	addr := startScarce(t, "memory", fmt.Sprintf("GOMEMLIMIT=%d", limit))
	cli := newPeer(t, tp.PeerConfig{DefaultPullTimeout: patience, PacketSizeLimit: 1 << 20})
	sess := dial(t, cli, addr)
	half := jsonPull(1, "/echo", strings.Repeat("x", 900<<10)).bytes()
	half = half[:len(half)/2]
	whole := jsonPull(1, "/echo", strings.Repeat("x", 200<<10)).bytes()
	var hostile sync.WaitGroup
	var conns []*wire
	for i := range size(40, 60) {
		w := dialWire(t, addr)
		conns = append(conns, w)
		hostile.Go(func() {
			if i%2 == 0 {
				_, _ = w.Write(half)
				return
			}
			for range 50 { // and read nothing
				_ = w.SetWriteDeadline(time.Now().Add(time.Second))
				if _, err := w.Write(whole); err != nil {
					return
				}
			}
		})
	}
	var pulls, busy atomic.Int64
	body := make([]byte, 100<<10)
	var callers sync.WaitGroup
	peak := 0
	end := time.Now().Add(time.Duration(size(1000, 10_000)) * time.Millisecond)
	for range 8 {
		sess := dial(t, cli, addr)
		callers.Go(func() {
			for time.Now().Before(end) {
				switch rerr := sess.Pull("/echo", body, nil).Rerror(); {
				case rerr == nil:
					pulls.Add(1)
				case rerr.Code == tp.CodeServiceUnavailable:
					busy.Add(1)
					time.Sleep(10 * time.Millisecond)
				default:
					t.Errorf("a healthy session: %v", rerr)
					return
				}
			}
		})
	}
	tell := func() int {
		t.Helper()
		var now scarce
		eventually(t, "it tells", func() (ok bool) { // it may be busy
			got, rerr := tp.Pull[scarce](sess, "/scarce", nil)
			now = got
			return rerr == nil
		})
		return now.Memory
	}
	for time.Now().Before(end) {
		peak = max(peak, tell())
		time.Sleep(20 * time.Millisecond)
	}
	callers.Wait()
	hostile.Wait()
	for _, w := range conns {
		_ = w.Close()
	}
	eventually(t, "it recovers", func() bool { return sess.Pull("/echo", body, nil).Rerror() == nil })
	t.Logf("limit %.0f MiB, %d hostile connections: %.1f MiB at most, %.1f MiB after; %d pulls of 100 KiB served, %d refused with 503",
		mib(limit), len(conns), mib(peak), mib(tell()), pulls.Load(), busy.Load())
	if pulls.Load() == 0 {
		t.Error("none was served")
	}
	if peak > 2*limit {
		t.Errorf("the process had %d bytes, the limit is %d", peak, limit)
	}
}

// A log that cannot be written, since the disk is full, breaks nothing.
func TestFaultFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no /dev/full")
	}
	t.Cleanup(func() { _ = full.Close() })
	if _, err := full.Write([]byte("x")); err == nil {
		t.Fatal("/dev/full takes bytes")
	}
	logger, err := tp.NewLogger(full, "TRACE")
	noError(t, err)
	srv := newPeer(t, tp.PeerConfig{Logger: logger, PrintBody: true, CountTime: true})
	cli := newPeer(t, tp.PeerConfig{Logger: logger, PrintBody: true, CountTime: true})
	echo(srv)
	tp.RegPull(srv.PullRouter, "panic", func(tp.PullCtx, *[]byte) (int, *tp.Rerror) { panic("as asked") })
	sess := dial(t, cli, serve(t, srv))
	calls := size(300, 20_000)
	for range calls {
		noRerror(t, sess.Pull("/echo", nil, nil).Rerror())
		noRerror(t, sess.Push("/nowhere", nil))
	}
	wantCode(t, sess.Pull("/panic", nil, nil).Rerror(), tp.CodeInternalServerError, "")
	noRerror(t, sess.Pull("/echo", nil, nil).Rerror())
	t.Logf("%d calls, each with lines that were not written: 0 failed", 2*calls)
}
