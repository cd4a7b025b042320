//go:build unix

package tp_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
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

// Restarts one after the other, under load: no pull and no dial fails, and no push
// that was accepted is lost.
func TestFaultRestarts(t *testing.T) {
	restarts, callers, idle := size(10, 100), size(40, 200), size(100, 1000)
	r := startRebootable(t, rebootPlan{Addrs: []string{"127.0.0.1:0"}}, testCommand())
	pid, addrs := r.await("up")
	addr := addrs[0]
	r.write(rebootPlan{Addrs: addrs})

	cli := newPeer(t, tp.PeerConfig{RedialTimes: -1})
	var stop atomic.Bool
	var pulls, dials, pushes atomic.Int64
	var group sync.WaitGroup
	failed := func(what string, rerr *tp.Rerror) {
		stop.Store(true)
		t.Errorf("a %s failed: %v", what, rerr)
	}
	var shared []tp.Session
	for range 8 {
		shared = append(shared, dial(t, cli, addr))
	}
	for i := range callers {
		group.Go(func() {
			sess := shared[i%len(shared)]
			for !stop.Load() {
				if rerr := sess.Pull("/slow", nil, nil).Rerror(); rerr != nil {
					failed("pull", rerr)
				}
				pulls.Add(1)
				if rerr := sess.Push("/note", 1); rerr != nil {
					failed("push", rerr)
				}
				pushes.Add(1)
			}
		})
	}
	var silent []tp.Session
	for range idle {
		sess := dial(t, cli, addr)
		noRerror(t, sess.Pull("/pid", nil, nil).Rerror())
		silent = append(silent, sess)
	}
	for _, times := range []int{-1, 0} {
		group.Go(func() { // such that connect anew each time, with and without redial
			fresh := newPeer(t, tp.PeerConfig{RedialTimes: times})
			for !stop.Load() {
				sess, rerr := fresh.Dial(addr)
				if rerr != nil {
					failed("dial", rerr)
					return
				}
				if rerr := sess.Pull("/pid", nil, nil).Rerror(); rerr != nil {
					failed("first pull", rerr)
				}
				dials.Add(1)
				_ = sess.Close()
				<-sess.CloseNotify()
			}
		})
	}
	present := 0
	for range restarts {
		before := pulls.Load()
		eventually(t, "it is used", func() bool { return stop.Load() || pulls.Load() > before+int64(callers) })
		for _, sess := range silent {
			if sess.Health() {
				present++
			}
		}
		r.signal(pid, syscall.SIGUSR2)
		next, _ := r.await("up")
		eventually(t, "the process before has ended", func() bool {
			_, ok := r.says(fmt.Sprint("last ", pid))
			return ok
		})
		pid = next
	}
	stop.Store(true)
	group.Wait()
	for _, sess := range append(silent, shared...) {
		noRerror(t, sess.Pull("/pid", nil, nil).Rerror())
		if err := sess.Flush(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if err := cli.Close(); err != nil {
		t.Error(err)
	}
	redials := cli.Stats().Redialled
	r.stop(pid)
	if strings.Contains(r.log(), "closing the peers") {
		t.Error("a process has cut something off at its end")
	}
	noted := int64(0)
	for range restarts + 1 {
		_, n := r.await("noted")
		k, err := strconv.ParseInt(n[0], 10, 64)
		noError(t, err)
		noted += k
	}
	if noted != pushes.Load() {
		t.Errorf("%d pushes were accepted, %d handled", pushes.Load(), noted)
	}
	t.Logf("%d restarts: %d pulls, %d dials, %d pushes, %d redials of %d sessions; %d of %d idle ones were connected when one began, on average",
		restarts, pulls.Load(), dials.Load(), noted, redials, len(silent)+len(shared), present/restarts, idle)
}

// A server that is killed and comes back a second later: every pull ends, none is
// executed twice that may not be, one that may succeeds, what an error says of the
// execution is so, and all callers work again.
func TestFaultKilledServer(t *testing.T) {
	callers := size(50, 200)
	file := filepath.Join(t.TempDir(), "once")
	first := startRebootable(t, rebootPlan{Addrs: []string{"127.0.0.1:0"}, Once: file}, testCommand())
	pid, addrs := first.await("up")
	cli := newPeer(t, tp.PeerConfig{RedialTimes: -1})
	var shared []tp.Session
	for range 8 {
		shared = append(shared, dial(t, cli, addrs[0]))
	}
	var stop atomic.Bool
	var ok, again, lost, unsure atomic.Int64
	var outcomes sync.Map // of a pull, by its id
	back := make(chan int, callers)
	var group sync.WaitGroup
	for i := range callers {
		group.Go(func() {
			sess, told := shared[i%len(shared)], false
			idempotent := i/len(shared)%2 == 1
			for n := 0; !stop.Load(); n++ {
				id := fmt.Sprintf("%d-%d", i, n)
				var setting []socket.PacketSetting
				if idempotent {
					id += " idempotent"
					setting = append(setting, tp.WithIdempotent())
				}
				served, rerr := tp.Pull[int](sess, "/once", id, setting...)
				outcomes.Store(id, rerr)
				switch {
				case rerr == nil && served != pid:
					again.Add(1)
					if !told {
						told = true
						back <- i
					}
				case rerr == nil:
					ok.Add(1)
				default:
					lost.Add(1)
					if rerr.MaybeSent() {
						unsure.Add(1)
					}
					if idempotent || rerr.Code != tp.CodeConnClosed || rerr.Detail == "" {
						t.Errorf("pull %s failed with %v", id, rerr)
					}
				}
			}
		})
	}
	eventually(t, "it is used", func() bool { return ok.Load() > int64(10*callers) })
	first.signal(pid, syscall.SIGKILL)
	receive(t, first.exited)
	time.Sleep(time.Second)
	second := startRebootable(t, rebootPlan{Addrs: addrs, Once: file}, testCommand())
	pid2, _ := second.await("up")
	begin := time.Now()
	for range callers {
		receive(t, back)
	}
	recovered := time.Since(begin)
	stop.Store(true)
	group.Wait()
	_ = cli.Close()
	second.stop(pid2)
	b, err := os.ReadFile(file)
	noError(t, err)
	executed := make(map[string]int)
	twice := 0
	for line := range strings.Lines(string(b)) {
		executed[strings.TrimSuffix(line, "\n")]++
	}
	for id, n := range executed {
		if n > 1 {
			twice++
		}
		if n > 2 || n > 1 && !strings.HasSuffix(id, "idempotent") {
			t.Errorf("%s was executed %d times", id, n)
		}
	}
	outcomes.Range(func(id, outcome any) bool {
		switch rerr := outcome.(*tp.Rerror); {
		case rerr == nil && executed[id.(string)] == 0:
			t.Errorf("%s succeeded, and was not executed", id)
		case rerr != nil && !rerr.MaybeSent() && executed[id.(string)] > 0:
			t.Errorf("%s was executed, the error says no: %v", id, rerr)
		}
		return true
	})
	if lost.Load() == 0 || unsure.Load() == 0 {
		t.Error("no pull was under way when the server was killed")
	}
	t.Logf("%d callers, half of them idempotent: %d pulls before, %d after, %d failed (%d of them perhaps executed), none of the idempotent; %d of these executed twice; all callers back %v after the server",
		callers, ok.Load(), again.Load(), lost.Load(), unsure.Load(), twice, recovered)
}

// A server that is stopped, not dead: its kernel still answers. The session finds
// out, and comes back with it.
func TestFaultStoppedServer(t *testing.T) {
	t.Parallel()
	r := startRebootable(t, rebootPlan{Addrs: []string{"127.0.0.1:0"}}, testCommand())
	pid, addrs := r.await("up")
	cli := newPeer(t, tp.PeerConfig{RedialTimes: -1, KeepAliveInterval: 5 * time.Second, KeepAliveTimeout: time.Second})
	sess := dial(t, cli, addrs[0])
	noRerror(t, sess.Pull("/pid", nil, nil).Rerror())
	r.signal(pid, syscall.SIGSTOP)
	time.Sleep(200 * time.Millisecond) // it takes effect some time later
	begin := time.Now()
	cmd := sess.Pull("/pid", nil, nil)
	wantCode(t, cmd.Rerror(), tp.CodeConnClosed, "KeepAlive")
	t.Logf("given up %v after the server was stopped; interval 5 s, timeout 1 s", time.Since(begin))
	if cli.Stats().Refused["keep_alive"] != 1 {
		t.Errorf("%v", cli.Stats().Refused)
	}
	r.signal(pid, syscall.SIGCONT)
	noRerror(t, sess.Pull("/pid", nil, nil).Rerror())
	_ = cli.Close()
	r.stop(pid)
}

// SIGTERM with short and long calls: the short ones are answered, a long one is cut
// off when the bound is over, and the process ends.
func TestFaultTerm(t *testing.T) {
	for _, long := range []bool{false, true} {
		r := startRebootable(t, rebootPlan{Addrs: []string{"127.0.0.1:0"}, Bound: time.Second}, testCommand())
		pid, addrs := r.await("up")
		cli := newPeer(t, tp.PeerConfig{})
		sess := dial(t, cli, addrs[0])
		const calls = 100
		done, hung := make(chan *tp.PullCmd, calls), make(chan *tp.PullCmd, 1)
		if long {
			sess.GoPull("/hang", nil, nil, hung)
		}
		for range calls {
			sess.GoPull("/slow", nil, nil, done)
		}
		noRerror(t, sess.Pull("/pid", nil, nil).Rerror()) // so they have arrived
		begin := time.Now()
		r.signal(pid, syscall.SIGTERM)
		for range calls {
			noRerror(t, receive(t, done).Rerror())
		}
		receive(t, r.exited)
		code, want := r.cmd.ProcessState.ExitCode(), 0
		if long {
			want = 1
			wantCode(t, receive(t, hung).Rerror(), tp.CodeConnClosed, "")
		}
		if code != want {
			t.Errorf("long %v: exit code %d, want %d", long, code, want)
		}
		t.Logf("%d short calls answered, a long one: %v; the process ended %v after SIGTERM, the bound is 1 s", calls, long, time.Since(begin).Round(time.Millisecond))
	}
}

// 10,000 sessions, or as many as files may be open, lose their server at once, and
// it comes back a second later. The test reports how their dials are spread, and when
// all were back.
func TestFaultManyLoseTheServer(t *testing.T) {
	sessions := size(200, 10_000)
	var limit syscall.Rlimit
	noError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	sessions = min(sessions, int(limit.Cur)-500)
	first := startRebootable(t, rebootPlan{Addrs: []string{"127.0.0.1:0"}}, testCommand())
	pid, addrs := first.await("up")
	var mu sync.Mutex // protects following
	var attempts, arrivals []time.Time
	cli := newPeer(t, tp.PeerConfig{Logger: new(logBook), RedialTimes: -1, OnRedial: func(_ tp.Session, rerr *tp.Rerror) {
		mu.Lock()
		defer mu.Unlock()
		attempts = append(attempts, time.Now())
		if rerr == nil {
			arrivals = append(arrivals, time.Now())
		}
	}})
	var all []tp.Session
	for range sessions {
		sess := dial(t, cli, addrs[0])
		noRerror(t, sess.Pull("/pid", nil, nil).Rerror())
		all = append(all, sess)
	}
	gone := time.Now()
	first.signal(pid, syscall.SIGKILL)
	receive(t, first.exited)
	time.Sleep(time.Second)
	second := startRebootable(t, rebootPlan{Addrs: addrs}, testCommand())
	pid2, _ := second.await("up")
	up := time.Since(gone)
	ctx, cancel := context.WithTimeout(t.Context(), 6*patience)
	defer cancel()
	for _, sess := range all {
		served, rerr := tp.Pull[int](sess, "/pid", nil, tp.WithContext(ctx))
		noRerror(t, rerr)
		if served != pid2 {
			t.Fatalf("process %d answered, want %d", served, pid2)
		}
	}
	if err := cli.Close(); err != nil {
		t.Error(err)
	}
	second.stop(pid2)
	mu.Lock()
	defer mu.Unlock()
	peak := func(times []time.Time) (most int, spread []int) {
		for _, at := range times {
			n := int(at.Sub(gone) / (100 * time.Millisecond))
			for len(spread) <= n {
				spread = append(spread, 0)
			}
			spread[n]++
			most = max(most, spread[n])
		}
		return most, spread
	}
	if len(arrivals) < sessions {
		t.Errorf("%d sessions, %d came back", sessions, len(arrivals))
	}
	most, spread := peak(attempts)
	t.Logf("%d sessions: %d attempts, at most %d in 100 ms; by 100 ms since the loss: %v", sessions, len(attempts), most, spread)
	most, spread = peak(arrivals)
	t.Logf("the server was back after %v, all sessions %v after the loss, at most %d in 100 ms: %v",
		up.Round(time.Millisecond), arrivals[len(arrivals)-1].Sub(gone).Round(time.Millisecond), most, spread)
}
