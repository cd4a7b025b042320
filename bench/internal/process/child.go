package process

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/henrylee2cn/teleport/bench/internal/meter"
	"github.com/henrylee2cn/teleport/bench/internal/stack"
	"github.com/henrylee2cn/teleport/bench/internal/usage"
)

// Child is the main function of a program that has these stacks: it does what the parent
// orders until the orders end.
func Child(stacks ...stack.Stack) {
	c := &child{stacks: stacks, meter: meter.New()}
	if err := c.run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// child is the state of a server or client process.
type child struct {
	stacks []stack.Stack
	meter  *meter.Meter
	client stack.Client
	begin  usage.Usage
}

func (c *child) run() error {
	orders, answers := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var o order
		if err := orders.Decode(&o); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		a, err := c.obey(o)
		if err != nil {
			a.Error = err.Error()
		}
		if err := answers.Encode(a); err != nil {
			return err
		}
	}
}

func (c *child) obey(o order) (answer, error) {
	switch o.Do {
	case doServe:
		return c.serve(o)
	case doConnect:
		s, err := c.find(o.Stack)
		if err != nil {
			return answer{}, err
		}
		c.client, err = s.Dial(o.Addr, o.Scenario, c.meter)
		return answer{}, err
	case doRun:
		c.client.Run()
		return answer{}, nil
	case doBegin:
		c.begin = usage.Now()
		c.meter.Begin()
		return answer{}, c.meter.Err()
	case doEnd:
		return answer{Window: c.end()}, c.meter.Err()
	case doWeigh:
		return answer{Memory: usage.Weigh()}, c.meter.Err()
	}
	return answer{}, fmt.Errorf("what is %q?", o.Do)
}

func (c *child) serve(o order) (answer, error) {
	s, err := c.find(o.Stack)
	if err != nil {
		return answer{}, err
	}
	addr, err := s.Serve(o.Scenario, c.meter.Fail)
	return answer{Addr: addr}, err
}

func (c *child) find(name string) (stack.Stack, error) {
	i := slices.IndexFunc(c.stacks, func(s stack.Stack) bool { return s.Name() == name })
	if i < 0 {
		return nil, fmt.Errorf("there is no stack %q here", name)
	}
	return c.stacks[i], nil
}

func (c *child) end() window {
	rss := usage.RSS()
	used := usage.Now().Since(c.begin)
	hist, seconds := c.meter.End()
	return window{
		Calls:   hist.Count(),
		Seconds: seconds,
		Micros:  [3]float64{hist.Quantile(0.5) / 1e3, hist.Quantile(0.99) / 1e3, hist.Quantile(0.999) / 1e3},
		Used:    used,
		RSS:     rss,
	}
}
