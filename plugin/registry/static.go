package registry

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/henrylee2cn/teleport/internal/notice"
)

// Static is a registry in memory: a list that the program was given, and what it
// registers itself. It is for addresses that a configuration names, for services in
// one process, and for tests. Leases do not run out. It is safe for concurrent use.
// The zero value is empty and ready.
type Static struct {
	mu        sync.Mutex // protects following
	instances map[string][]*staticLease
	changed   notice.Notice
}

var _ Registry = new(Static)

// staticLease is an instance that is registered.
type staticLease struct {
	static   *Static
	instance Instance
	done     chan struct{} // closed when it is not registered any more
}

// NewStatic returns a registry of the instances. It panics when one is not valid.
func NewStatic(instances ...Instance) *Static {
	s := new(Static)
	for _, i := range instances {
		if _, err := s.Register(context.Background(), i, 0); err != nil {
			panic(err.Error())
		}
	}
	return s
}

// Set replaces all instances of a service, for one whose configuration is read
// again. The Service of each may be empty. Of several with one ID the last counts. When
// one is not valid, or of another service, nothing is changed.
func (s *Static) Set(service string, instances ...Instance) error {
	leases := make([]*staticLease, 0, len(instances))
	for _, i := range instances {
		if i.Service == "" {
			i.Service = service
		}
		if err := i.Validate(); err != nil {
			return err
		}
		if i.Service != service {
			return fmt.Errorf("registry: Instance.Service = %q: it is set for service %q", i.Service, service)
		}
		l := s.lease(i)
		leases = slices.DeleteFunc(leases, func(other *staticLease) bool { return other.instance.ID == l.instance.ID })
		leases = append(leases, l)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.init()
	s.remove(service, func(*staticLease) bool { return true })
	if len(leases) > 0 {
		s.instances[service] = leases
	}
	s.changed.Tell()
	return nil
}

// init makes the zero value ready. mu is held.
func (s *Static) init() {
	if s.instances == nil {
		s.instances = make(map[string][]*staticLease)
	}
}

func (s *Static) lease(i Instance) *staticLease {
	return &staticLease{static: s, instance: i.WithDefaults(), done: make(chan struct{})}
}

// Register makes the instance known until it is withdrawn; ttl is of no account.
func (s *Static) Register(ctx context.Context, instance Instance, _ time.Duration) (Lease, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := instance.Validate(); err != nil {
		return nil, err
	}
	l := s.lease(instance)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.init()
	s.remove(l.instance.Service, func(other *staticLease) bool { return other.instance.ID == l.instance.ID })
	s.instances[instance.Service] = append(s.instances[instance.Service], l)
	s.changed.Tell()
	return l, nil
}

// remove ends the leases that match. mu is held.
func (s *Static) remove(service string, match func(*staticLease) bool) {
	s.instances[service] = slices.DeleteFunc(s.instances[service], func(l *staticLease) bool {
		if !match(l) {
			return false
		}
		close(l.done)
		return true
	})
	if len(s.instances[service]) == 0 {
		delete(s.instances, service)
	}
}

// Discover returns the instances of a service.
func (s *Static) Discover(ctx context.Context, service string) ([]Instance, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	all, _ := s.look(service)
	return all, nil
}

// Watch calls changed when an instance was registered or withdrawn.
func (s *Static) Watch(ctx context.Context, service string, changed func([]Instance, error)) error {
	var last []Instance
	for first := true; ; first = false {
		all, news := s.look(service)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if first || !slices.EqualFunc(all, last, Instance.Equal) {
			last = all
			changed(slices.Clone(all), nil)
		}
		select {
		case <-news:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// look returns the instances and a channel that is closed when that has changed.
func (s *Static) look(service string) ([]Instance, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Instance, 0, len(s.instances[service]))
	for _, l := range s.instances[service] {
		all = append(all, l.instance.WithDefaults())
	}
	sortByID(all)
	return all, s.changed.Wait()
}

// Done returns a channel that is closed when the instance is not registered by this
// lease any more.
func (l *staticLease) Done() <-chan struct{} { return l.done }

// Withdraw makes the instance unknown.
func (l *staticLease) Withdraw(context.Context) error {
	l.static.mu.Lock()
	defer l.static.mu.Unlock()
	l.static.remove(l.instance.Service, func(other *staticLease) bool { return other == l })
	l.static.changed.Tell()
	return nil
}
