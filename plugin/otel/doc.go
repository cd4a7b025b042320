// Package otel is a plugin that makes traces and metrics of what a peer does, for
// OpenTelemetry.
//
//	peer := tp.NewPeer(&cfg, otel.New(otel.Config{}))
//
// A pull has a span on the side that calls (kind client) and one on the side that
// handles it (kind server), a push the same with the kinds producer and consumer. The
// context of a handler has its span, so what the handler calls with it goes on with
// the trace:
//
//	func (h *Home) Test(args *Args) (*Reply, *tp.Rerror) {
//		user, rerr := tp.Pull[User](h.users, "/user/get", args.ID, tp.WithContext(h.Context()))
//		...
//	}
//
// Between the sides the context of a trace travels in the meta data, with the keys
// "traceparent" and "tracestate" of W3C Trace Context; of what is received, their case
// does not matter.
//
// Spans and the metrics rpc.client.call.duration and rpc.server.call.duration have the
// attributes of the semantic conventions for RPC, version 1.43: rpc.system.name is
// "teleport", rpc.method the path, rpc.response.status_code and error.type the code of
// an error. Of what is handled, rpc.method is the path of the handler, with "/*" at
// the end for one of unknown paths, and "_OTHER" where there is none, so that strangers
// cannot make up values; rpc.method_original of the span is the path then. Of what is
// called it is the path: behind a proxy strangers choose it, and what bounds the metrics
// is the limit of the SDK, 2,000 sets of attributes. Beside them teleport.kind is "pull"
// or "push".
//
// The status of a span is an error if the exchange failed; on the side that handles it
// not for codes from 400 to 499, which say that the caller did something wrong.
//
// These metrics say what Peer.Stats does: teleport.sessions, teleport.sessions.opening,
// teleport.handlers, teleport.write_queue, teleport.refused.
package otel
