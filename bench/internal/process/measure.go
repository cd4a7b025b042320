package process

import (
	"errors"
	"time"

	"github.com/henrylee2cn/teleport/bench/internal/result"
	"github.com/henrylee2cn/teleport/bench/internal/scenario"
)

// Measure runs a stack in a scenario, in fresh processes, which have ended when
// it returns. The window opens after the warm-up.
func Measure(stackName string, s scenario.Scenario, warmUp, length time.Duration) (run result.Run, err error) {
	p, err := startPair(stackName, s)
	defer func() { err = errors.Join(err, p.stop()) }()
	if err == nil {
		run, err = p.measure(order{Stack: stackName, Scenario: s}, warmUp, length)
	}
	run.Scenario, run.Stack = s.ID, stackName
	return run, err
}

// pair is a server and a client.
type pair struct{ server, client *remote }

func startPair(stackName string, s scenario.Scenario) (p pair, err error) {
	program, err := Program(stackName)
	if err != nil {
		return p, err
	}
	if p.server, err = start("server", program, s.Procs); err == nil {
		p.client, err = start("client", program, s.Procs)
	}
	return p, err
}

func (p pair) stop() (err error) {
	for _, child := range []*remote{p.client, p.server} {
		if child != nil {
			err = errors.Join(err, child.stop())
		}
	}
	return err
}

// both gives the order to both, to the server first.
func (p pair) both(do string) (server, client answer, err error) {
	if server, err = p.server.order(order{Do: do}); err != nil {
		return
	}
	client, err = p.client.order(order{Do: do})
	return
}

func (p pair) measure(o order, warmUp, length time.Duration) (result.Run, error) {
	o.Do = doServe
	served, err := p.server.order(o)
	if err != nil {
		return result.Run{}, err
	}
	o.Do, o.Addr = doConnect, served.Addr
	if o.Scenario.Kind == scenario.Idle {
		return p.weigh(o, warmUp)
	}
	if _, err := p.client.order(o); err != nil {
		return result.Run{}, err
	}
	if _, err := p.client.order(order{Do: doRun}); err != nil {
		return result.Run{}, err
	}
	time.Sleep(warmUp)
	if _, _, err := p.both(doBegin); err != nil {
		return result.Run{}, err
	}
	time.Sleep(length)
	server, client, err := p.both(doEnd)
	if err != nil {
		return result.Run{}, err
	}
	return fill(client.Window, server.Window)
}

// weigh connects between two looks at the memory. What the calls needed has
// settle to be given back.
func (p pair) weigh(connect order, settle time.Duration) (run result.Run, err error) {
	server, client, err := p.both(doWeigh)
	if err != nil {
		return run, err
	}
	if _, err := p.client.order(connect); err != nil {
		return run, err
	}
	time.Sleep(settle)
	fullServer, fullClient, err := p.both(doWeigh)
	if err != nil {
		return run, err
	}
	sessions := float64(connect.Scenario.Idle)
	run.ServerSession = float64(fullServer.Memory.Used-server.Memory.Used) / sessions
	run.ClientSession = float64(fullClient.Memory.Used-client.Memory.Used) / sessions
	run.ServerSessionRSS = float64(fullServer.Memory.RSS-server.Memory.RSS) / sessions
	run.ClientRSS, run.ServerRSS = fullClient.Memory.RSS, fullServer.Memory.RSS
	return run, nil
}

// fill puts together what both saw of the window. Their windows do not open in the same
// moment, so that what they used is taken for a second, not for the window.
func fill(client, server window) (run result.Run, err error) {
	if client.Calls == 0 {
		return run, errors.New("no call ended in the measured time")
	}
	run.Seconds, run.Calls = client.Seconds, client.Calls
	run.PerSec = float64(client.Calls) / client.Seconds
	run.P50, run.P99, run.P999 = client.Micros[0], client.Micros[1], client.Micros[2]
	run.CPU = (client.Used.CPU + server.Used.CPU) / run.PerSec * 1e6
	run.ClientAllocs, run.ServerAllocs = client.Used.Allocs/run.PerSec, server.Used.Allocs/run.PerSec
	run.ClientBytes, run.ServerBytes = client.Used.Bytes/run.PerSec, server.Used.Bytes/run.PerSec
	run.ClientRSS, run.ServerRSS = client.RSS, server.RSS
	return run, nil
}
