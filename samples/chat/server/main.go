// Command server is a chat room: who has joined may say things, and everybody
// else hears them. Its client is in samples/chat/client.
package main

import (
	"flag"
	"fmt"
	"net"
	"regexp"
	"slices"
	"sync"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:9090", "address to listen on")
	flag.Parse()
	tp.SetShutdown(5*time.Second, nil, nil)
	go tp.GraceSignal()

	room := new(room)
	peer := tp.NewPeer(&tp.PeerConfig{
		// So long a push waits for room in the queue of a member who does not
		// read, and meanwhile nobody else hears the one who speaks.
		DefaultWriteTimeout: time.Second,
		PacketSizeLimit:     16 << 10, // in bytes; this is a chat
	}, room) // the room is a plugin, to learn who leaves

	// Pushes of one session are handled in their order. Here the pulls stand in
	// the same line, so what is said after joining is handled after joining.
	chat := peer.PullRouter.Group("chat").Dispatch(tp.DispatchOrdered)
	tp.RegPull(chat, "join", room.join)
	tp.RegPull(chat, "who", room.who)
	tp.RegPush(peer.PushRouter.Group("chat"), "say", room.say)

	lis, err := net.Listen("tcp", *addr)
	if err != nil {
		tp.Fatalf("%v", err)
	}
	fmt.Println("listening on", lis.Addr())
	tp.Fatalf("%v", peer.ServeListener(lis))
}

// room keeps no list: the peer knows its sessions, and a member's name is the
// session's id.
type room struct {
	naming sync.Mutex // from the check of a name until it is given
}

var goodName = regexp.MustCompile(`^[\pL\pN_-]{1,20}$`)

// isMember tells who has joined from who has only connected: the id of a new
// session is its address, which is no good name.
func isMember(id string) bool { return goodName.MatchString(id) }

func (r *room) join(ctx tp.PullCtx, name *string) ([]string, *tp.Rerror) {
	if rerr := r.give(*name, ctx.Session()); rerr != nil {
		return nil, rerr
	}
	tell(ctx.Peer(), *name, "/chat/notice", *name+" has joined")
	return members(ctx.Peer()), nil
}

func (r *room) give(name string, sess tp.Session) *tp.Rerror {
	if !goodName.MatchString(name) {
		return tp.NewRerror(1001, "a name is 1 to 20 letters, digits, - or _")
	}
	r.naming.Lock()
	defer r.naming.Unlock()
	if isMember(sess.Id()) {
		return tp.NewRerror(1002, "you have joined already")
	}
	// SetId alone would close the session that has the name: that suits users
	// who log in again, once it is known that it is them.
	if _, taken := sess.Peer().GetSession(name); taken {
		return tp.NewRerror(1003, "the name is taken")
	}
	sess.SetId(name)
	return nil
}

func (r *room) who(ctx tp.PullCtx, _ *struct{}) ([]string, *tp.Rerror) {
	return members(ctx.Peer()), nil
}

func (r *room) say(ctx tp.PushCtx, text *string) {
	if from := ctx.Session().Id(); isMember(from) {
		tell(ctx.Peer(), from, "/chat/said", [2]string{from, *text})
	}
}

// Name is the plugin's.
func (r *room) Name() string { return "room" }

// PostDisconnect is called for each session that ends, for whatever reason,
// after what stood in its line.
func (r *room) PostDisconnect(sess tp.PostSession) *tp.Rerror {
	if name := sess.Id(); isMember(name) {
		tell(sess.Peer(), name, "/chat/notice", name+" has left")
	}
	return nil
}

// tell pushes to all members but one.
func tell(peer *tp.Peer, except, uri string, args interface{}) {
	peer.RangeSession(func(sess tp.Session) bool {
		if id := sess.Id(); isMember(id) && id != except {
			_ = sess.Push(uri, args) // who cannot be told is leaving
		}
		return true
	})
}

func members(peer *tp.Peer) (names []string) {
	peer.RangeSession(func(sess tp.Session) bool {
		if id := sess.Id(); isMember(id) {
			names = append(names, id)
		}
		return true
	})
	slices.Sort(names)
	return names
}

var _ tp.PostDisconnectPlugin = new(room) // or the compiler says what is wrong
