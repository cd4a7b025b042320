// Package auth lets in only sessions that show who they are.
//
// A [Client] is the plugin of a peer that dials: on each connection, also those
// of a redial, it shows a token before anything else. A [Server] is the plugin of
// a peer that accepts: it reads the token, has it checked, and keeps whose it is
// with the session.
//
//	server := tp.NewPeer(cfg, auth.NewServer(auth.ServerConfig{
//		Check: auth.Tokens(map[string]any{"s3cret": "ann"}),
//	}))
//	client := tp.NewPeer(cfg, auth.NewClient(auth.ClientConfig{
//		Token: auth.Token("s3cret"),
//	}))
//
// A handler asks [Principal] who calls. The Dial of a client that is refused
// fails with the Rerror of the check, mostly 401. Give the plugin to NewPeer
// before all others but overload: hooks run in the order of registration.
//
// Tokens travel as they are: use TLS. A token is never logged, and is taken out of
// the texts of a check that mentions it.
//
// # Bytes
//
// The client sends a PULL with seq 0, the URI "/auth", and the token as its whole
// body, with the codec 's' (string). The server sends a REPLY to it: with the error
// in its meta data under tp.MetaRerrorKey, after which it closes; or without one,
// and then its body is the token of the server, or empty. So a peer without the
// plugin answers 404, and one that pulls without it is answered 401. Both packets
// have to fit into 16 KiB and have no transfer filters: see the limits of
// PostAccept in package tp.
package auth
