// Package overload refuses what is too much for a peer: connections beyond a
// number, pulls beyond a rate, in all and by route. A [Plugin] belongs to a peer:
//
//	limits := overload.New(overload.Limits{
//		Conns: 10_000,
//		Rate:  overload.Rate{PerSecond: 5_000},
//		Routes: map[string]overload.Rate{
//			"/report/*": {PerSecond: 10, Burst: 20},
//		},
//	})
//	server := tp.NewPeer(cfg, limits)
//
// A pull over a limit is answered 503 before its body is decoded or its handler
// runs, so that its caller may send it again: see Rerror.MaybeSent. The limits
// may change at any time, and what they have refused can be read.
//
// What a peer bounds by itself are handlers, bytes and packets: see
// tp.PeerConfig. These are rates, which a program chooses by what it can do.
package overload
