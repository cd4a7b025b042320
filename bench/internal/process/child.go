package process

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/henrylee2cn/teleport/bench/internal/meter"
	"github.com/henrylee2cn/teleport/bench/internal/stack"
	"github.com/henrylee2cn/teleport/bench/internal/usage"
)

// IsRole says whether an argument of the program makes it a child.
func IsRole(arg string) bool { return arg == "server" || arg == "client" }

// Child does what the parent orders until the orders end.
func Child() error {
	c := &child{meter: meter.New()}
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

// child is the state of a server or client process.
type child struct {
	meter  *meter.Meter
	client stack.Client
	begin  usage.Usage
}

func (c *child) obey(o order) (answer, error) {
	switch o.Do {
	case doServe:
		return c.serve(o)
	case doConnect:
		s, err := stack.Find(o.Stack)
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
	s, err := stack.Find(o.Stack)
	if err != nil {
		return answer{}, err
	}
	addr, err := s.Serve(o.Scenario, c.meter.Fail)
	return answer{Addr: addr}, err
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
