package etcd

import (
	"context"
	"errors"
	"fmt"

	"github.com/henrylee2cn/teleport/plugin/registry"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// lease is a lease of etcd that is kept alive.
type lease struct {
	client *clientv3.Client
	id     clientv3.LeaseID
	die    context.CancelFunc // ends keeping it
	done   chan struct{}
}

var _ registry.Lease = new(lease)

// keep keeps the lease alive, in a goroutine, until life ends or etcd has given it up:
// it ran out while etcd could not be reached, or etcd came back without its data.
func (l *lease) keep(life context.Context) error {
	alive, err := l.client.KeepAlive(life, l.id)
	if err != nil {
		return err
	}
	go func() {
		defer close(l.done)
		defer l.die()
		for range alive { // the client closes it when the lease is lost
		}
	}()
	return nil
}

// Done returns a channel that is closed when the lease is lost or withdrawn.
func (l *lease) Done() <-chan struct{} { return l.done }

// Withdraw revokes the lease, and with it the key, unless that has another lease now.
func (l *lease) Withdraw(ctx context.Context) error {
	l.die()
	_, err := l.client.Revoke(ctx, l.id)
	if err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return fmt.Errorf("etcd: cannot revoke the lease: %w", err)
	}
	<-l.done
	return nil
}
