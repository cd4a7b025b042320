// Package heartbeat keeps sessions open, and finds those that are dead, where the
// other side does not know the PING of package tp: programs of 2017, and
// protocols or middle boxes of one's own. Between two peers of this library it is
// not needed: see tp.PeerConfig.KeepAliveInterval.
//
// A [Ping] is the plugin of a peer that dials: it pulls "/heartbeat" when a session
// was quiet. A [Pong] is that of a peer that accepts: it answers, and closes
// sessions from which nothing came for too long.
//
//	pong := heartbeat.NewPong(heartbeat.PongConfig{MaxSilence: time.Minute})
//	server := tp.NewPeer(cfg, pong)
//	pong.Route(server)
//
//	client := tp.NewPeer(cfg, heartbeat.NewPing(heartbeat.PingConfig{Interval: 20 * time.Second}))
//
// Neither has a timer or a goroutine for each session: a plugin has one timer, which
// runs while there are sessions, and a Ping a goroutine for a heartbeat under way.
//
// # Bytes
//
// A heartbeat is a PULL or PUSH of "/heartbeat?hb_=N" without a body, where N is
// the interval in whole seconds, at least 1. A pull is answered by an empty REPLY.
// That is what the heartbeat plugin of teleport v3 and v4 sends and understands, so
// either side may be one. Its Ping is quiet while it receives pushes: see Pong.Pushes.
package heartbeat
