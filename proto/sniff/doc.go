// Package sniff serves several protocols on one address: it looks at the first bytes of
// each connection and picks what becomes of it, by rules.
//
//	lis, err := tp.InheritListener("tcp", "0.0.0.0:9090")
//	...
//	web := sniff.NewBranch(lis.Addr())
//	port, err := sniff.New(lis, &sniff.Config{Rules: []sniff.Rule{
//		{Match: sniff.Fast},                                  // sessions in the default format
//		{Match: sniff.JSON, Proto: jsonproto.NewProtoFunc()}, // sessions in another one
//		{Match: sniff.HTTP, Handle: web.Hand},                // all else of HTTP, WebSockets too
//	}})
//	...
//	go (&http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}).Serve(web)
//	err = peer.ServeListener(port)
//
// Packages proto/pbproto and proto/thriftproto have no Matcher: they begin with a length,
// which may look like anything. One of them can have Any, as the last rule; a first packet
// that looks like what another rule matches is then lost.
//
// A rule is for a connection, not for a request: browsers and proxies send many requests
// over one, so a Matcher cannot tell the paths of one site apart.
//
// TLS is the peer's: if it has any, a connection must begin with TLS, and the rules are
// about what is within; see Config.PlainToo.
//
// Until its first bytes have come a connection is one that is not let in yet, which
// PeerConfig.AcceptTimeout, MaxOpening and MaxOpeningPerIP bound, as they do the TLS
// handshake. So one that says nothing is closed, unless Config.Silent says what it is:
// a client of a push gateway may wait for pushes, and send nothing before. One that leaves
// before it has sent anything, as a load balancer does that looks whether the port is open,
// is no warning in the log, and not counted in Stats.Refused. What a Handle has
// taken over is bounded by whoever has it: an http.Server needs its ReadHeaderTimeout.
//
// A Listener costs a session nothing when its first packet has been read.
package sniff
