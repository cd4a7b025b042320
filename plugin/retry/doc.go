// Package retry repeats pulls that have failed, where that does no harm.
//
//	retrier := retry.New(retry.Config{Attempts: 4})
//	price, rerr := retry.Pull[int](retrier, sess, "/price", "tea", tp.WithContext(ctx))
//
// It is no plugin, for a hook cannot send a pull again: it is a function around
// Session.Pull, or with [Retrier.Session] a session of which Pull repeats.
//
// # What is repeated
//
// A pull is repeated if its error is one that may pass (see [Passing]), and
//
//   - it was certainly not executed: see tp.Rerror.MaybeSent, or
//   - it may be executed twice: tp.WithIdempotent says so of a pull.
//
// Before each repetition there is a pause, which grows and is random. None begins after
// the deadline of the pull's context, or when the pause would end after it; the
// deadline is that of all attempts together. And a budget bounds how many repetitions
// there are to pulls in all, so that a peer in trouble does not get three times its
// load: see [Config].
//
// Use it in one place of a chain of calls only: three layers that try three times make
// 27 calls of one. A session that dials again (tp.PeerConfig.RedialTimes) sends
// idempotent pulls, and those that were not sent, again by itself when a connection is
// lost, which are attempts of one attempt here.
package retry
