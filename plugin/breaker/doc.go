// Package breaker stops pulls to a peer that fails, until it has had time to
// recover: a circuit breaker. A [Plugin] belongs to the peer that pulls:
//
//	client := tp.NewPeer(cfg, breaker.New(breaker.Config{
//		FailureRate: 0.5,
//		OpenFor:     5 * time.Second,
//	}))
//
// There is one breaker for each address by default, or for each session or route: see
// Config.Key. As long as it is closed, pulls pass, and are counted when they are over.
// If too many of them have failed it opens: pulls fail at once with 503, nothing is
// sent, and their callers need not wait for a deadline. After Config.OpenFor it is
// half-open: a few pulls are let through, and what becomes of them closes it or opens
// it again.
//
// What counts as a failure is up to Config.Failed: by default lost connections,
// deadlines, and the codes 500, 502 and 503. All pulls should have a deadline (see
// tp.PeerConfig.DefaultPullTimeout): a peer that is stuck is found by that.
//
// Pushes are not stopped: nobody learns what became of them.
package breaker
