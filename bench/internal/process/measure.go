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
	run = result.Run{Scenario: s.ID, Stack: stackName}
	server, err := start("server")
	if err != nil {
		return run, err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	client, err := start("client")
	if err != nil {
		return run, err
	}
	defer func() { err = errors.Join(err, client.stop()) }()

	served, err := server.order(order{Do: doServe, Stack: stackName, Scenario: s})
	if err != nil {
		return run, err
	}
	if _, err := client.order(order{Do: doConnect, Stack: stackName, Scenario: s, Addr: served.Addr}); err != nil {
		return run, err
	}
	time.Sleep(warmUp)
	if _, err := server.order(order{Do: doBegin}); err != nil {
		return run, err
	}
	if _, err := client.order(order{Do: doBegin}); err != nil {
		return run, err
	}
	time.Sleep(length)
	clientSaw, err := client.order(order{Do: doEnd})
	if err != nil {
		return run, err
	}
	serverSaw, err := server.order(order{Do: doEnd})
	if err != nil {
		return run, err
	}
	return fill(run, clientSaw.Window, serverSaw.Window)
}

// fill puts together what both saw. Their windows do not open in the same
// moment, so that what they used is taken for a second, not for the window.
func fill(run result.Run, client, server window) (result.Run, error) {
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
