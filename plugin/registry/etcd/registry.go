package etcd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/henrylee2cn/teleport/plugin/registry"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Config is the configuration of a Registry.
type Config struct {
	// Client is the connection to etcd. It is required, and stays the caller's, who
	// closes it after the peers and clients that use the Registry.
	Client *clientv3.Client
	// Prefix is what all keys begin with. Default: "/teleport/".
	Prefix string
	// RetryPause is how long Watch waits after an error before it reads all again.
	// Default: 1 s.
	RetryPause time.Duration
	// Timeout bounds each read of Watch. Default: 5 s.
	Timeout time.Duration
	// Resync is how often Watch reads all again though nothing is wrong. It finds an
	// etcd that came back without its data, and counts its revisions from the
	// beginning: a watch would wait for one that is far away. Default: 1 minute.
	Resync time.Duration
}

const (
	defaultPrefix     = "/teleport/"
	defaultRetryPause = time.Second
	defaultTimeout    = 5 * time.Second
	defaultResync     = time.Minute
	// revokeTimeout bounds the withdrawal of a lease of which nothing came.
	revokeTimeout = time.Second
)

// Registry is a registry.Registry on etcd. It is safe for concurrent use. It has a
// goroutine for each lease; those of the client beside.
type Registry struct{ cfg Config }

var _ registry.Registry = new(Registry)

// New returns a Registry. It copies cfg, and connects to nothing yet.
func New(cfg Config) (*Registry, error) {
	if cfg.Client == nil {
		return nil, errors.New("etcd: Config.Client is nil")
	}
	if cfg.Prefix == "" {
		cfg.Prefix = defaultPrefix
	}
	if !strings.HasSuffix(cfg.Prefix, "/") {
		cfg.Prefix += "/"
	}
	if cfg.RetryPause <= 0 {
		cfg.RetryPause = defaultRetryPause
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.Resync <= 0 {
		cfg.Resync = defaultResync
	}
	return &Registry{cfg}, nil
}

// keys returns what the keys of a service begin with.
func (r *Registry) keys(service string) string { return r.cfg.Prefix + service + "/" }

// Register puts the instance with a lease, which it keeps alive. Etcd counts ttl in
// seconds, and has a shortest one, of about two.
func (r *Registry) Register(ctx context.Context, instance registry.Instance, ttl time.Duration) (registry.Lease, error) {
	instance = instance.WithDefaults()
	if err := instance.Validate(); err != nil {
		return nil, err
	}
	value, err := json.Marshal(instance)
	if err != nil {
		return nil, fmt.Errorf("etcd: %w", err)
	}
	seconds := max(int64((ttl+time.Second-1)/time.Second), 1)
	grant, err := r.cfg.Client.Grant(ctx, seconds)
	if err != nil {
		return nil, fmt.Errorf("etcd: no lease: %w", err)
	}
	key := r.keys(instance.Service) + url.PathEscape(instance.ID)
	l := &lease{client: r.cfg.Client, id: grant.ID, done: make(chan struct{})}
	life, die := context.WithCancel(context.Background())
	l.die = die
	if _, err = r.cfg.Client.Put(ctx, key, string(value), clientv3.WithLease(grant.ID)); err == nil {
		err = l.keep(life)
	}
	if err != nil {
		die()
		bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeTimeout)
		defer cancel()
		_, _ = r.cfg.Client.Revoke(bound, grant.ID) // or it runs out
		return nil, fmt.Errorf("etcd: cannot put %s: %w", key, err)
	}
	return l, nil
}

// Discover returns the instances of a service. An entry that cannot be read is left
// out.
func (r *Registry) Discover(ctx context.Context, service string) ([]registry.Instance, error) {
	s, err := r.read(ctx, service)
	if err != nil {
		return nil, err
	}
	return s.sorted(), nil
}

// set is what is known of a service, at a revision of etcd.
type set struct {
	instances map[string]registry.Instance // by key
	unread    map[string]error             // why an entry cannot be read, by key
	revision  int64
}

func (s *set) put(service, key string, value []byte) {
	var i registry.Instance
	err := json.Unmarshal(value, &i)
	if err == nil {
		i = i.WithDefaults()
		err = i.Validate()
	}
	if err == nil && i.Service != service {
		err = fmt.Errorf("it is of service %q", i.Service)
	}
	s.remove(key)
	if err != nil {
		s.unread[key] = fmt.Errorf("etcd: the entry %s: %w", key, err)
		return
	}
	s.instances[key] = i
}

func (s *set) remove(key string) {
	delete(s.instances, key)
	delete(s.unread, key)
}

func (s *set) sorted() []registry.Instance {
	return slices.SortedFunc(maps.Values(s.instances), func(a, b registry.Instance) int { return strings.Compare(a.ID, b.ID) })
}

// err returns what cannot be read, or nil.
func (s *set) err() error {
	keys := slices.Sorted(maps.Keys(s.unread))
	errs := make([]error, 0, len(keys))
	for _, key := range keys {
		errs = append(errs, s.unread[key])
	}
	return errors.Join(errs...)
}

func (r *Registry) read(ctx context.Context, service string) (*set, error) {
	got, err := r.cfg.Client.Get(ctx, r.keys(service), clientv3.WithPrefix())
	if err != nil {
		return nil, fmt.Errorf("etcd: cannot read service %s: %w", service, err)
	}
	s := &set{instances: make(map[string]registry.Instance), unread: make(map[string]error), revision: got.Header.Revision}
	for _, kv := range got.Kvs {
		s.put(service, string(kv.Key), kv.Value)
	}
	return s, nil
}

func (r *Registry) readWithin(ctx context.Context, service string) (*set, error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	return r.read(ctx, service)
}

// Watch reads all instances and then follows the changes from that revision on. When
// the connection is lost or etcd has forgotten the revision (it was compacted), it
// reads all again.
func (r *Registry) Watch(ctx context.Context, service string, changed func([]registry.Instance, error)) error {
	var known []registry.Instance
	for told := false; ; {
		s, err := r.readWithin(ctx, service)
		if err == nil {
			if all := s.sorted(); !told || !slices.EqualFunc(all, known, registry.Instance.Equal) {
				changed(all, s.err())
			}
			told = true
			err = r.follow(ctx, service, s, changed)
			known = s.sorted()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, rpctypes.ErrCompacted) || errors.Is(err, errResync) { // nothing is wrong: read again at once
			continue
		}
		told = false // the next success is news
		changed(slices.Clone(known), err)
		select {
		case <-time.After(r.cfg.RetryPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

var (
	// errWatchEnded says that a watch ended without a reason.
	errWatchEnded = errors.New("etcd: the watch has ended")
	// errResync says that it is time to read all again.
	errResync = errors.New("etcd: time to read all again")
)

// follow applies changes until the watch fails.
func (r *Registry) follow(ctx context.Context, service string, s *set, changed func([]registry.Instance, error)) error {
	// Of a member that is cut off from the others nothing would come.
	ctx, cancel := context.WithTimeoutCause(clientv3.WithRequireLeader(ctx), r.cfg.Resync, errResync)
	defer cancel()
	for got := range r.cfg.Client.Watch(ctx, r.keys(service), clientv3.WithPrefix(), clientv3.WithRev(s.revision+1)) {
		if err := got.Err(); err != nil {
			if context.Cause(ctx) == errResync {
				return errResync
			}
			return fmt.Errorf("etcd: watching service %s: %w", service, err)
		}
		for _, e := range got.Events {
			if key := string(e.Kv.Key); e.Type == clientv3.EventTypeDelete {
				s.remove(key)
			} else {
				s.put(service, key, e.Kv.Value)
			}
		}
		s.revision = got.Header.Revision
		if len(got.Events) > 0 {
			changed(s.sorted(), s.err())
		}
	}
	if context.Cause(ctx) == errResync {
		return errResync
	}
	return errWatchEnded
}
