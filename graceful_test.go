//go:build unix

package tp_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

const gracefulEnv = "TP_TEST_GRACEFUL"

// TestGracefulProcess is the server that the tests below send signals to, when
// they run this binary again.
func TestGracefulProcess(t *testing.T) {
	if os.Getenv(gracefulEnv) == "" {
		t.Skip("run by the other tests in a process of its own")
	}
	said := func(what string) func() error {
		return func() error {
			fmt.Println(what)
			if strings.Contains(os.Getenv(gracefulEnv), what+" fails") {
				return errors.New("on purpose")
			}
			return nil
		}
	}
	tp.SetShutdown(patience, said("first"), said("last"))
	p := tp.NewPeer(&tp.PeerConfig{ListenAddrs: []string{"127.0.0.1:0"}})
	tp.RegPull(p.PullRouter, "slow", func(ctx tp.PullCtx, _ *interface{}) (string, *tp.Rerror) {
		fmt.Println("begun")
		for ctx.Session().IsOk() { // until the drain has begun
			time.Sleep(time.Millisecond)
		}
		time.Sleep(100 * time.Millisecond)
		return "done", nil
	})
	tp.RegPull(p.PullRouter, "hang", func(tp.PullCtx, *interface{}) (string, *tp.Rerror) {
		fmt.Println("begun")
		select {}
	})
	echo(p)
	go tp.GraceSignal()
	go func() {
		// A signal that comes before GraceSignal has asked for signals ends the
		// process as it would any other.
		for len(p.Addrs()) == 0 || !strings.Contains(allStacks(), "[chan receive]:\ngithub.com/henrylee2cn/teleport.GraceSignal(") {
			time.Sleep(time.Millisecond)
		}
		fmt.Println("addr", p.Addrs()[0])
	}()
	err := p.Listen()
	fmt.Println("Listen returned", err) // as main would end here
	os.Exit(3)
}

// program is a process of TestGracefulProcess.
type program struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  *bufio.Scanner
	log  lockedBuffer
	addr string
}

func startProgram(t *testing.T, mode string) *program {
	t.Helper()
	p := &program{t: t, cmd: exec.Command(os.Args[0], "-test.run=^TestGracefulProcess$")}
	p.cmd.Env = append(os.Environ(), gracefulEnv+"="+mode)
	p.cmd.Stderr = &p.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(3*patience, func() { _ = p.cmd.Process.Kill() })
	t.Cleanup(func() {
		kill.Stop()
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
	p.out = bufio.NewScanner(out)
	p.addr = strings.TrimPrefix(p.await("addr "), "addr ")
	return p
}

// await returns the next line that begins with prefix.
func (p *program) await(prefix string) string {
	p.t.Helper()
	for p.out.Scan() {
		if strings.HasPrefix(p.out.Text(), prefix) {
			return p.out.Text()
		}
	}
	p.t.Fatalf("the program ended without %q; it logged: %s", prefix, p.log.String())
	return ""
}

func (p *program) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// wantExit reads the rest of the output and fails unless the code is right.
func (p *program) wantExit(code int) (out string) {
	p.t.Helper()
	for p.out.Scan() {
		out += p.out.Text() + "\n"
	}
	_ = p.cmd.Wait()
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		p.t.Errorf("exit code %d, want %d; output %q, log: %s", got, code, out, p.log.String())
	}
	return out
}

// SIGTERM ended the program with 50 calls in flight. So does main, when Listen
// returns to it before they are answered.
func TestSignalDrains(t *testing.T) {
	for _, s := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		t.Run(s.String(), func(t *testing.T) {
			p := startProgram(t, "on")
			cli := newPeer(t, tp.PeerConfig{})
			const calls = 50
			done := make(chan *tp.PullCmd, calls)
			for i := range calls {
				if i%10 == 0 {
					dial(t, cli, p.addr)
				}
			}
			n := 0
			cli.RangeSession(func(sess tp.Session) bool {
				for range 10 {
					sess.GoPull("/slow", nil, new(string), done)
					n++
				}
				return true
			})
			for range n {
				p.await("begun")
			}
			p.signal(s)
			for range n {
				reply, rerr := receive(t, done).Result()
				noRerror(t, rerr)
				if *reply.(*string) != "done" {
					t.Errorf("got %q", *reply.(*string))
				}
			}
			if out := p.wantExit(0); n != calls || out != "first\nlast\n" {
				t.Errorf("%d calls; the output is %q", n, out)
			}
		})
	}
}

// What fails in the shutdown, or is cut off, shows in the exit code.
func TestSignalExitCode(t *testing.T) {
	for _, mode := range []string{"first fails", "last fails"} {
		p := startProgram(t, mode)
		p.signal(syscall.SIGTERM)
		if out := p.wantExit(1); out != "first\nlast\n" || !strings.Contains(p.log.String(), "on purpose") {
			t.Errorf("%s: output %q, log %q", mode, out, p.log.String())
		}
	}
}

// A second signal ends the process at once.
func TestSecondSignal(t *testing.T) {
	p := startProgram(t, "on")
	cli := newPeer(t, tp.PeerConfig{})
	done := make(chan *tp.PullCmd, 1)
	dial(t, cli, p.addr).GoPull("/hang", nil, nil, done)
	p.await("begun")
	p.signal(syscall.SIGTERM)
	p.await("first")
	p.signal(syscall.SIGTERM)
	if out := p.wantExit(1); out != "" {
		t.Errorf("output %q", out)
	}
	wantCode(t, receive(t, done).Rerror(), tp.CodeConnClosed, "")
}
