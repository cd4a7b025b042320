package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// patience bounds an answer: a stack that hangs must not hang the bench.
const patience = 60 * time.Second

// remote is a child as the parent sees it.
type remote struct {
	role    string
	cmd     *exec.Cmd
	stdin   io.Closer
	orders  *json.Encoder
	answers *json.Decoder
}

// Program returns the path of the program that has the stack. It lies beside this one,
// and links nothing that the stack does not need: the garbage collector of a process
// scans the variables of all packages that are linked, each time, and would take longer
// with those of the others.
func Program(stackName string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	name, _, _ := strings.Cut(stackName, "-") // without that of the variant
	path, err := exec.LookPath(filepath.Join(filepath.Dir(self), name))
	if err != nil {
		return "", fmt.Errorf("the program of a stack is to lie beside this one, as the Makefile builds them: %w", err)
	}
	return path, nil
}

// start starts a child. With procs 0 it has as many as Go gives it.
func start(role, program string, procs int) (*remote, error) {
	cmd := exec.Command(program, role) // which it ignores: it is there for those who look at the processes
	cmd.Stderr = os.Stderr
	if procs > 0 {
		cmd.Env = append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", procs))
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &remote{role, cmd, stdin, json.NewEncoder(stdin), json.NewDecoder(stdout)}, nil
}

// order returns the child's answer. One that does not come is an error, and
// the child is killed.
func (r *remote) order(o order) (answer, error) {
	late := time.AfterFunc(patience, func() { _ = r.cmd.Process.Kill() })
	defer late.Stop()
	if err := r.orders.Encode(o); err != nil {
		return answer{}, fmt.Errorf("%s: %s: %w", r.role, o.Do, err)
	}
	var a answer
	if err := r.answers.Decode(&a); err != nil {
		return answer{}, fmt.Errorf("%s: %s: it ended, or did not answer within %v: %w", r.role, o.Do, patience, err)
	}
	if a.Error != "" {
		return a, fmt.Errorf("%s: %s: %s", r.role, o.Do, a.Error)
	}
	return a, nil
}

// stop ends the child. It has nothing to lose, so that it is not asked.
func (r *remote) stop() error {
	err := r.cmd.Process.Kill()
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	_ = r.stdin.Close()
	_ = r.cmd.Wait() // that it was killed is no news
	return err
}
