package tp

import (
	"net"
	"time"

	"github.com/henrylee2cn/teleport/internal/usercode"
	"github.com/henrylee2cn/teleport/socket"
)

// FailedPull returns a pull that has failed with rerr and was not sent, for those
// who choose among several sessions and find none. It is seen by the log and by
// PostExchange as any other, but in a goroutine of its own. Its session is one that is
// closed.
func (p *Peer) FailedPull(uri string, args interface{}, reply interface{}, rerr *Rerror, setting ...socket.PacketSetting) *PullCmd {
	s := p.newSession(noConn{}, nil)
	s.phase.Store(phaseClosing)
	_ = s.link().conn.Close()
	s.tellOver()
	cmd := new(PullCmd)
	cmd.fill(s, uri, args, reply, setting)
	cmd.rerr = rerr.Copy()
	// A hook may end its goroutine, and this one may be about to tell of just that.
	if gone := usercode.Call(cmd.complete); gone != nil {
		p.log().Errorf("a pull of %q that found no session: %s", uri, usercode.Trace(gone))
	}
	return cmd
}

// noConn is a conn that is closed.
type noConn struct{}

var _ net.Conn = noConn{}

func (noConn) Read([]byte) (int, error)         { return 0, net.ErrClosed }
func (noConn) Write([]byte) (int, error)        { return 0, net.ErrClosed }
func (noConn) Close() error                     { return nil }
func (noConn) LocalAddr() net.Addr              { return nil }
func (noConn) RemoteAddr() net.Addr             { return nil }
func (noConn) SetDeadline(time.Time) error      { return net.ErrClosed }
func (noConn) SetReadDeadline(time.Time) error  { return net.ErrClosed }
func (noConn) SetWriteDeadline(time.Time) error { return net.ErrClosed }
