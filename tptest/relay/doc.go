// Package relay is a TCP relay for tests that makes the faults of a network.
// It listens on loopback, stands between clients and a server, and passes on
// what they send, with real TCP on both sides:
//
//	r, err := relay.New(serverAddr, seed)
//	defer r.Close()
//	r.Set(relay.Down, relay.Faults{Split: []int{1}}) // from the server, byte by byte
//	conn, err := net.Dial("tcp", r.Addr())
//	r.Set(relay.Both, relay.Faults{Stall: true}) // nothing gets through any more
//	r.Set(relay.Both, relay.Faults{})            // and now it does
//	r.Sever()                                    // a reset of all connections
//
// The two directions have their [Faults] apart, which may be changed while
// connections live. What is drawn at random follows from the seed: see [New].
//
// The package knows nothing of packets or sessions, so any protocol on TCP can
// be tested with it.
package relay
