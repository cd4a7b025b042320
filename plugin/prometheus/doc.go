// Package prometheus is a plugin that counts what a peer does, for Prometheus.
//
//	metrics, err := prometheus.New(prometheus.Config{})
//	peer := tp.NewPeer(&cfg, metrics)
//	http.Handle("/metrics", promhttp.Handler())
//
// The metrics, with the default namespace:
//
//	tp_exchanges_total             pulls and pushes that are over: direction, kind, route, code
//	tp_exchange_duration_seconds   how long they took, a histogram with the same labels
//	tp_sessions                    open sessions
//	tp_sessions_opening            connections that are not let in yet
//	tp_sessions_total              sessions that began: by accepted, dialled, redialled
//	tp_handlers                    exchanges of other sides that run or wait for their turn
//	tp_write_queue_bytes           bytes that wait to be written
//	tp_refused_total               what was not done, by reason: see tp.Stats
//	tp_packets_total               packets, by direction: read, written
//	tp_bytes_total                 bytes of them, as above
//
// Direction is "handled" for what other sides began, and "called" for what this one
// did; kind is "pull" or "push"; code is "ok" or the number of the error.
//
// Nobody can make labels up: the route of what is handled is the path of the handler
// that served it, with "/*" at the end for a handler of unknown paths, and "unknown"
// for all that no handler serves or that is refused before it is routed. Of what this
// side calls, paths beyond Config.MaxRoutes are "other", and so are codes of errors
// beyond Config.MaxCodes in both directions, except those of package tp.
//
// A plugin learns whose it is when the peer listens or dials: what does not come from
// exchanges is there from then on. With a peer that only has connections by
// tp.Peer.ServeConn, it is there after the first exchange.
//
// With Config.NativeFactor the histogram is a native one too. A server that takes
// native histograms drops the buckets then, unless its scrape_config has
// always_scrape_classic_histograms.
//
// The file grafana.json beside this package is a dashboard for Grafana. It asks for the
// buckets.
package prometheus
