// Package recorder is a plugin that keeps an access log: a record of log/slog for each
// pull and push that a peer has handled, whatever became of it.
//
//	log := recorder.New(recorder.Config{Handler: slog.NewJSONHandler(file, nil), Slow: time.Second})
//	peer := tp.NewPeer(cfg, log)
//	...
//	_ = peer.Close()
//	err := log.Close(ctx) // waits until all is written
//
// A record has the time at which the exchange was over, the message "handled" (or
// "launched", see Config.Launched), and these attributes:
//
//	session  the id of the session
//	ip       the address of the other side, with its port
//	kind     "pull" or "push"
//	uri      the URI, as it was routed by
//	route    the path of the handler; absent if none was found
//	seq      the sequence number
//	code     that of the error; 0 if there is none
//	cost     how long it took, the wait for its turn included
//	in, out  the sizes in bytes of the packets that came and went; 0 if there is none
//	error    the message and detail of the error; absent if there is none
//	slow     true; absent if it was not
//	meta, reply_meta, body, reply_body  see Config.Meta and Config.Bodies
//
// and those of Config.Attrs.
//
// Give the plugin to NewPeer. A broadcast is not recorded.
//
// The slog.Handler is called in a goroutine of its own, one record after the other. If it
// is too slow, records wait, and beyond Config.Queue they are dropped: exchanges never
// wait for their log. How many were dropped is counted, and recorded when there is room
// again.
package recorder
