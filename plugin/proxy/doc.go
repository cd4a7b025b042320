// Package proxy is a reverse proxy: what a peer has no handler for goes to a
// backend, and what the backend has no handler for goes to a client.
//
// The proxy stands between two peers of its own program. Clients have sessions
// with the front, backends with the back:
//
//	front := tp.NewPeer(&tp.PeerConfig{ListenAddrs: []string{":9090"}})
//	back := tp.NewPeer(&tp.PeerConfig{RedialTimes: -1})
//	backend, rerr := back.Dial("10.0.0.7:9090")
//	p := proxy.New(proxy.Config{
//		Backend: func(tp.UnknownPushCtx) (proxy.Launcher, *tp.Rerror) { return backend, nil },
//	})
//	p.Front(front)
//	p.Back(back)
//
// # What is passed on
//
// The URI, the body as bytes, which nobody decodes, the id of its codec, the
// transfer filters, and the meta data go on as they came; of a reply also its
// error. A body without a codec, which this library never sends, gets the
// default codec. The deadline of the caller bounds the pull to the backend, and
// when the caller gives up, the backend is told. What belongs to one connection
// only stays behind: X-Tp-Caps, X-Timeout, X-Reply-Error.
//
// Pushes of one session keep their order. A backend that does not read holds up
// the pushes of the clients, and they hold up theirs: nothing is queued without a
// bound. In the other direction one slow client would hold up the pushes of its
// backend to all: give the front a PeerConfig.SlowPolicy. A push that cannot be
// passed on is dropped, counted, and logged.
//
// # Meta data
//
//	X-Proxy-Via     to both: the ids of the proxies that it came through, with commas
//	X-Real-IP       to the backend: the address of the client, without its port
//	X-Proxy-Client  to the backend: which client this came from
//	X-Proxy-Error   in a reply: the id of the proxy that made the error
//
// X-Proxy-Client is how a backend reaches a client: what it sends to the proxy with
// the same value goes to that client, and without one nowhere. [ToClient] does that in
// a handler of the backend. The value is made for one session, at its first pull or
// push, and of no use when that has ended; it is random, so that no other client ever
// has it. There may be several proxies between the two, if each trusts the one before.
// What a client sends under X-Real-IP and X-Proxy-Client counts only if it is one of
// Config.TrustedProxies.
//
// # Errors
//
// An error of a backend arrives as it was sent. One that a proxy made has
// X-Proxy-Error in the meta data of its reply, and one of these codes:
//
//	400  X-Proxy-Client is missing (to a backend)
//	404  there is no such client any more (to a backend)
//	502  there was no answer
//	503  Config.MaxPulls are under way
//	504  there was no answer in Config.Timeout
//	508  it went in a circle, or through more than Config.MaxHops proxies
//
// or that of Config.Backend. Rerror.MaybeSent stays true to its word: it is false
// only if the pull surely reached no handler of the backend. A reply whose error says that it
// was not sent, or that no connection came about, is about something else that the
// handler did: its detail is marked with "the backend: ", and if the code alone
// says so, it becomes 502.
package proxy
