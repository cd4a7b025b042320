package registry

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// DNSConfig is the configuration of a DNS registry.
type DNSConfig struct {
	// Interval is how often Watch looks, a tenth longer or shorter by chance.
	// Default: 30 s. The lifetimes (TTL) of the records are not looked at: the
	// resolver of the standard library does not tell them.
	Interval time.Duration
	// Timeout bounds each look of Watch. Default: 5 s.
	Timeout time.Duration
	// Resolver is what looks. Default: net.DefaultResolver. One whose StrictErrors is
	// not set takes A records without AAAA, or those without these, for all that there
	// are when the others could not be read, so that Watch drops their instances.
	Resolver *net.Resolver
}

// DNS is a registry that reads DNS. It is safe for concurrent use, and cannot be
// written: Register is refused.
//
// The name of a service is one of these, and its form says which records are read:
//
//   - "_orders._tcp.example.org": the SRV records of that name (RFC 2782). Each is
//     an instance: its target and port are the address, which Peer.Dial resolves,
//     so that TLS checks the name of the target; its priority and its weight are
//     the instance's, though a weight of 0 is 1.
//   - "orders.example.org:9090": the A and AAAA records of the host. Each is an
//     instance with that port, of weight 1. For TLS give the peer a ServerName
//     (Peer.SetTLSConfig), since the addresses have none.
//
// A name that is not there (NXDOMAIN), or that has no such records, is an error. So
// Watch keeps the instances that it knew: a mistake in a zone does not take away
// servers that still run, and those that do not cannot be dialled anyway.
type DNS struct{ cfg DNSConfig }

var _ Registry = new(DNS)

// Defaults of DNSConfig.
const (
	defaultDNSInterval = 30 * time.Second
	defaultDNSTimeout  = 5 * time.Second
)

// NewDNS returns a registry that reads DNS. It copies cfg.
func NewDNS(cfg DNSConfig) *DNS {
	if cfg.Interval <= 0 {
		cfg.Interval = defaultDNSInterval
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultDNSTimeout
	}
	if cfg.Resolver == nil {
		cfg.Resolver = net.DefaultResolver
	}
	return &DNS{cfg}
}

// Register is refused with ErrReadOnly.
func (d *DNS) Register(context.Context, Instance, time.Duration) (Lease, error) {
	return nil, fmt.Errorf("%w: records of DNS are made elsewhere", ErrReadOnly)
}

// Discover looks the service up.
func (d *DNS) Discover(ctx context.Context, service string) (all []Instance, err error) {
	if strings.HasPrefix(service, "_") {
		all, err = d.srv(ctx, service)
	} else {
		all, err = d.hosts(ctx, service)
	}
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("registry: DNS has no records of %s", service)
	}
	sortByID(all)
	return slices.CompactFunc(all, Instance.Equal), err
}

func (d *DNS) srv(ctx context.Context, service string) ([]Instance, error) {
	_, records, err := d.cfg.Resolver.LookupSRV(ctx, "", "", service)
	if len(records) == 0 && err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	all := make([]Instance, 0, len(records)) // an error beside records is about others that are malformed
	for _, r := range records {
		host := strings.TrimSuffix(r.Target, ".")
		if host == "" { // RFC 2782: the service is decidedly not available
			continue
		}
		addr := net.JoinHostPort(host, strconv.Itoa(int(r.Port)))
		all = append(all, Instance{Service: service, Addr: addr, Weight: int(r.Weight), Priority: int(r.Priority)}.WithDefaults())
	}
	return all, nil
}

func (d *DNS) hosts(ctx context.Context, service string) ([]Instance, error) {
	host, port, err := splitService(service)
	if err != nil {
		return nil, err
	}
	addrs, err := d.cfg.Resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	all := make([]Instance, 0, len(addrs))
	for _, a := range addrs {
		all = append(all, Instance{Service: service, Addr: net.JoinHostPort(a.Unmap().String(), port)}.WithDefaults())
	}
	return all, nil
}

var errDNSName = errors.New(`write "_name._tcp.domain" for SRV records, or "host:port" for A and AAAA records`)

func splitService(service string) (host, port string, err error) {
	host, port, err = net.SplitHostPort(service)
	if err == nil && (host == "" || port == "") {
		err = errors.New("a part is empty")
	}
	if err != nil {
		return "", "", fmt.Errorf("registry: DNS cannot find the service %q: %w: %w", service, err, errDNSName)
	}
	return host, port, nil
}

// Watch looks again and again.
func (d *DNS) Watch(ctx context.Context, service string, changed func([]Instance, error)) error {
	if !strings.HasPrefix(service, "_") {
		if _, _, err := splitService(service); err != nil {
			return err
		}
	}
	var known []Instance
	told := false
	for {
		all, err := d.look(ctx, service)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		switch {
		case err != nil:
			changed(slices.Clone(known), err)
		case !told || !slices.EqualFunc(all, known, Instance.Equal):
			known, told = all, true
			changed(slices.Clone(all), nil)
		}
		select {
		case <-time.After(time.Duration(float64(d.cfg.Interval) * (0.9 + 0.2*rand.Float64()))):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (d *DNS) look(ctx context.Context, service string) ([]Instance, error) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
	defer cancel()
	return d.Discover(ctx, service)
}
