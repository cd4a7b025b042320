package registry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// ErrReadOnly is the error of Register of a registry that cannot be written.
var ErrReadOnly = errors.New("registry: this registry is read only")

// Instance is one address of one server of a service.
type Instance struct {
	// Service is the name of the service. It has no '/'.
	Service string `json:"service"`
	// ID is unique in the service. Default: Addr. Two instances may have one
	// address: a server that takes over from another has it for a while.
	ID string `json:"id"`
	// Addr is the address as Peer.Dial takes it.
	Addr string `json:"addr"`
	// Weight is the share of calls that it gets with the choices that look at
	// weights. Default: 1.
	Weight int `json:"weight,omitempty"`
	// Priority says who comes first: an instance is used only as long as none with
	// a lower number has a connection. Default: 0.
	Priority int `json:"priority,omitempty"`
	// Routes are the paths that it serves, sorted, each with its kind before it:
	// "pull /orders/get", "push /news". Of a handler of unknown paths the path is
	// that of its group, with "/*" after it. Registries that cannot tell have none.
	Routes []string `json:"routes,omitempty"`
	// Meta are values of the user's own, such as a version or a zone.
	Meta map[string]string `json:"meta,omitempty"`
}

// Validate tells what in the instance cannot work, by the field's name.
func (i Instance) Validate() error {
	switch {
	case i.Service == "":
		return errors.New("registry: Instance.Service is empty")
	case strings.Contains(i.Service, "/"):
		return fmt.Errorf("registry: Instance.Service = %q: it cannot have a '/'", i.Service)
	case i.Addr == "":
		return errors.New("registry: Instance.Addr is empty")
	case i.Weight < 0:
		return fmt.Errorf("registry: Instance.Weight = %d: it cannot be negative", i.Weight)
	}
	return nil
}

// WithDefaults returns a copy, which shares nothing with i, with every default
// filled in.
func (i Instance) WithDefaults() Instance {
	if i.ID == "" {
		i.ID = i.Addr
	}
	if i.Weight == 0 {
		i.Weight = 1
	}
	i.Routes = slices.Clone(i.Routes)
	i.Meta = maps.Clone(i.Meta)
	return i
}

// Equal reports whether two instances are the same in all that they say.
func (i Instance) Equal(other Instance) bool {
	return i.Service == other.Service && i.ID == other.ID && i.Addr == other.Addr &&
		i.Weight == other.Weight && i.Priority == other.Priority &&
		slices.Equal(i.Routes, other.Routes) && maps.Equal(i.Meta, other.Meta)
}

// Registry knows which instances of which services there are. Its methods are
// called by many goroutines. Each returns soon after its ctx has ended.
type Registry interface {
	// Register makes the instance known and renews that by itself, until Withdraw;
	// the instance is forgotten at most about ttl after its program has died. One
	// of the same service and ID takes the place of the one before, whose lease
	// should be withdrawn then. A registry that cannot be written returns
	// ErrReadOnly.
	Register(ctx context.Context, instance Instance, ttl time.Duration) (Lease, error)
	// Discover returns the instances of a service, sorted by ID. None is no error.
	Discover(ctx context.Context, service string) ([]Instance, error)
	// Watch calls changed with the instances of a service, sorted by ID, at once
	// and whenever they have changed, one call after the other, until ctx ends,
	// whose error it returns. Changed may keep the slice. An error says that the
	// registry, or an entry of it, cannot be read at present; the instances that
	// come with it are those that are known, and Watch goes on. Another error that
	// is returned says that this can never work.
	Watch(ctx context.Context, service string, changed func([]Instance, error)) error
}

// Lease is what keeps an instance known. Its methods are called by many goroutines.
type Lease interface {
	// Done returns a channel that is closed when the lease is lost, or withdrawn:
	// who wants the instance known registers it again.
	Done() <-chan struct{}
	// Withdraw makes the instance unknown, unless it was registered again since.
	// Withdrawing again does nothing.
	Withdraw(ctx context.Context) error
}

// sortByID sorts what Discover and Watch give out.
func sortByID(instances []Instance) {
	slices.SortFunc(instances, func(a, b Instance) int { return strings.Compare(a.ID, b.ID) })
}
