package retry

import (
	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
)

// session is a session of which Pull repeats.
type session struct {
	tp.Session
	retrier *Retrier
}

var _ tp.Session = session{}

// Session returns sess with a Pull that repeats, as tp.Pull does with it then. All
// else is that of sess: GoPull is not repeated, and handlers and hooks see sess.
func (r *Retrier) Session(sess tp.Session) tp.Session { return session{sess, r} }

// Pull is Retrier.Pull.
func (s session) Pull(uri string, args, reply interface{}, setting ...socket.PacketSetting) *tp.PullCmd {
	return s.retrier.Pull(s.Session, uri, args, reply, setting...)
}
