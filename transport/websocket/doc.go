// Package websocket carries sessions over WebSocket (RFC 6455), so that browsers
// can have them, and so that they pass where only HTTP does. To import it is
// enough for the schemes "ws" and "wss":
//
//	import _ "github.com/henrylee2cn/teleport/transport/websocket"
//
//	tp.NewPeer(&tp.PeerConfig{ListenAddrs: []string{"ws://0.0.0.0:80/tp"}})
//	sess, rerr := peer.Dial("ws://example.com/tp")
//
// With "wss" the peer's own TLS configuration counts; "ws" is plain, also for a
// peer that has one.
//
// A [Listener] is a net.Listener and an http.Handler at once. So sessions can
// come in on a path of an HTTP server that exists already:
//
//	lis, err := websocket.NewListener(&websocket.Config{Origins: []string{"app.example.com"}})
//	mux.Handle("/tp", lis)
//	go peer.ServeListener(lis)
//
// The bytes of a session, in whatever packet format, are the contents of binary
// messages, one after the other. Where a message ends means nothing: one may hold
// several packets, or a part of one. What a session writes at once is one message.
//
// Pings, and messages with nothing in them, are not for the session: a conn whose other
// side floods with those ends by itself, with an error that matches transport.ErrFlood.
//
// For browsers there is a client without dependencies, teleport.js, which
// [ServeScript] serves. See doc/websocket.md.
package websocket
