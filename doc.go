// Package tp lets both ends of a connection talk: each may pull (call and
// wait for the reply) and push (send and forget). Server and client are the
// same thing, a [Peer], which listens, dials, or both.
//
//	type Home struct{ tp.PullCtx }
//
//	func (h *Home) Test(args *[2]int) (int, *tp.Rerror) {
//		return args[0] + args[1], nil
//	}
//
//	srv := tp.NewPeer(&tp.PeerConfig{})
//	srv.PullRouter.Reg(new(Home))
//	lis, err := net.Listen("tcp", "127.0.0.1:9090")
//	go srv.ServeListener(lis)
//
//	cli := tp.NewPeer(&tp.PeerConfig{})
//	sess, rerr := cli.Dial("127.0.0.1:9090")
//	var sum int
//	rerr = sess.Pull("/home/test", [2]int{1, 2}, &sum).Rerror()
//
// The ladder: a Peer has connections; each becomes a socket.Socket, which
// speaks packets in a format that a socket.Proto defines; on it stands a
// [Session], on which the user pulls and pushes; each exchange is a Context
// ([PullCtx], [PushCtx]), which the [Router] hands to a handler; and a
// [Plugin] may hook in at every step.
//
// Pulls are handled side by side, the pushes of one session one after the
// other; [Router.Dispatch] chooses otherwise. What a session may use is
// bounded: see [PeerConfig]. A session ends with its connection.
//
// A failure that the other side can understand is a [Rerror]: a code, a
// message and a detail. It is no error, since a nil *Rerror in an error would
// not be nil; ToError and ToRerror cross over.
package tp
