package main

import (
	"fmt"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/bench/internal/meter"
	"github.com/henrylee2cn/teleport/bench/internal/object"
	"github.com/henrylee2cn/teleport/bench/internal/pb"
	"github.com/henrylee2cn/teleport/bench/internal/scenario"
	"github.com/henrylee2cn/teleport/bench/internal/stack"
)

// Teleport is this library as a program uses it: a typed handler, which runs
// beside the others, and pulls that wait. Its variants differ in one thing each.
type Teleport struct {
	name       string
	controller bool // the handler is the method of a controller
	inline     bool // the handler runs in the goroutine that reads
	plugins    bool // three plugins of four hooks each on either side
}

var _ stack.Stack = Teleport{}

// Name returns "tp", or that of a variant.
func (t Teleport) Name() string { return t.name }

// uri returns that of the handler.
func (t Teleport) uri() string {
	if t.controller {
		return "/echo/bytes"
	}
	return "/echo"
}

func (t Teleport) config(s scenario.Scenario) *tp.PeerConfig {
	cfg := &tp.PeerConfig{}
	switch s.Body {
	case scenario.Proto:
		cfg.DefaultBodyCodec = "protobuf"
	case scenario.JSON:
		cfg.DefaultBodyCodec = "json"
	}
	return cfg
}

// Serve answers pulls of the uri.
func (t Teleport) Serve(s scenario.Scenario, fail func(error)) (string, error) {
	tp.SetRawlogLevel("ERROR") // that the client is gone at the end is no news
	var plugins []tp.Plugin
	if t.plugins {
		plugins = serverPlugins()
	}
	peer := tp.NewPeer(t.config(s), plugins...)
	t.register(peer.PullRouter, s.Body)
	for i := 1; i < s.Routes; i++ {
		tp.RegPull(peer.PullRouter, fmt.Sprintf("beside/%d", i), echoBytes)
	}
	if s.Kind == scenario.Broadcast {
		serveBroadcast(peer, s, fail)
	}
	lis, addr, err := stack.Listen()
	if err != nil {
		return "", err
	}
	go func() { fail(peer.ServeListener(lis)) }()
	return addr, nil
}

func (t Teleport) register(r *tp.Router, body scenario.Body) {
	if t.inline {
		r = r.Dispatch(tp.DispatchInline)
	}
	switch {
	case t.controller:
		r.Reg(new(Echo))
	case body == scenario.Proto:
		tp.RegPull(r, "echo", func(_ tp.PullCtx, args *pb.Msg) (*pb.Msg, *tp.Rerror) { return args, nil })
	case body == scenario.JSON:
		tp.RegPull(r, "echo", func(_ tp.PullCtx, args *object.Order) (*object.Order, *tp.Rerror) { return args, nil })
	default:
		tp.RegPull(r, "echo", echoBytes)
	}
}

func echoBytes(_ tp.PullCtx, args *[]byte) ([]byte, *tp.Rerror) { return *args, nil }

// Echo is the controller.
type Echo struct{ tp.PullCtx }

// Bytes returns what it is given.
func (*Echo) Bytes(args *[]byte) ([]byte, *tp.Rerror) { return *args, nil }

// Dial makes a session for each connection.
func (t Teleport) Dial(addr string, s scenario.Scenario, m *meter.Meter) (stack.Client, error) {
	bodies := []scenario.Body{scenario.Bytes}
	if !t.controller {
		bodies = append(bodies, scenario.Proto, scenario.JSON)
	}
	if err := stack.Carries(t.name, s, bodies...); err != nil {
		return nil, err
	}
	var plugins []tp.Plugin
	if t.plugins {
		plugins = clientPlugins()
	}
	peer := tp.NewPeer(t.config(s), plugins...)
	if s.Kind == scenario.Broadcast {
		return dialBroadcast(peer, addr, s, m)
	}
	var conns []stack.Connection
	payload := s.Payload()
	// What all connections share is held once: S7 weighs what each has.
	callerOf := func(sess tp.Session) stack.Caller { return t.caller(sess, s.Body, payload) }
	for range s.Conns + s.Idle {
		sess, rerr := peer.Dial(addr)
		if rerr != nil {
			return nil, asError(rerr)
		}
		conns = append(conns, func() stack.Caller { return callerOf(sess) })
	}
	return stack.NewCallers(s, m, conns)
}

func (t Teleport) caller(sess tp.Session, body scenario.Body, payload []byte) stack.Caller {
	uri := t.uri()
	switch body {
	case scenario.Proto:
		request := pb.Sample()
		return pb.Call(request, func() (*pb.Msg, error) {
			reply, rerr := tp.Pull[*pb.Msg](sess, uri, request)
			return reply, asError(rerr)
		})
	case scenario.JSON:
		request := object.Sample()
		return object.Call(request, func() (*object.Order, error) {
			reply, rerr := tp.Pull[*object.Order](sess, uri, request)
			return reply, asError(rerr)
		})
	}
	return stack.CallBytes(payload, func() ([]byte, error) {
		reply, rerr := tp.Pull[[]byte](sess, uri, &payload) // a pointer is no new interface
		return reply, asError(rerr)
	})
}

// asError makes no error of no Rerror.
func asError(rerr *tp.Rerror) error {
	if rerr == nil {
		return nil
	}
	return fmt.Errorf("%v", rerr)
}
