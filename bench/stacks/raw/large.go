package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"

	"github.com/henrylee2cn/teleport/bench/internal/meter"
	"github.com/henrylee2cn/teleport/bench/internal/scenario"
	"github.com/henrylee2cn/teleport/bench/internal/stack"
)

// Large frames are read whole into one buffer, as a handler would see them, and
// written one by one: there is nothing to gather. The window is more than the
// kernel holds, so that a client which only read or wrote, one after the other,
// would block with a server that does too: it has a second goroutine, which
// writes.

func echoLarge(conn net.Conn, size int) error {
	frame := make([]byte, size)
	for {
		if _, err := io.ReadFull(conn, frame); err != nil {
			return err
		}
		if _, err := conn.Write(frame); err != nil {
			return err
		}
	}
}

// largeClient has a goroutine that reads and one that writes for each
// connection. Its callers are the places of a window.
type largeClient struct {
	scenario scenario.Scenario
	meter    *meter.Meter
	conns    []net.Conn
}

var _ stack.Client = (*largeClient)(nil)

// Run starts the goroutines.
func (c *largeClient) Run() {
	for i, conn := range c.conns {
		go func() {
			if err := c.drive(conn, c.scenario.Payload(), c.meter.Recorder(i)); err != nil {
				c.meter.Fail(err)
			}
		}()
	}
}

func (c *largeClient) drive(conn net.Conn, payload []byte, recorder meter.Recorder) error {
	m := c.meter
	sent := make([]int64, c.scenario.Callers)
	free := make(chan uint64, len(sent)) // places of the window
	for seq := range sent {
		sent[seq] = m.Now()
		free <- uint64(seq)
	}
	go func() {
		frame := appendFrame(nil, 0, payload)
		for seq := range free {
			binary.BigEndian.PutUint64(frame[4:], seq)
			if _, err := conn.Write(frame); err != nil {
				m.Fail(err)
				return
			}
		}
	}()
	defer close(free)
	frame := make([]byte, headerSize+len(payload))
	for {
		if _, err := io.ReadFull(conn, frame); err != nil {
			return err
		}
		if binary.BigEndian.Uint32(frame) != uint32(len(payload)) {
			return errors.New("a reply of another length")
		}
		seq := binary.BigEndian.Uint64(frame[4:])
		if seq >= uint64(len(sent)) {
			return errors.New("a reply to nothing")
		}
		now := m.Now()
		if !recorder.Record(sent[seq], now) {
			return nil
		}
		if sent[seq] = now; seq == 0 && !bytes.Equal(frame[headerSize:], payload) {
			return errors.New("a reply of other content")
		}
		free <- seq
	}
}
