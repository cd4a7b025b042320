// Package tptest has what tests of programs that use tp need.
//
// [Pair] connects two peers and returns the session of either side; [Serve]
// only makes a peer listen. Both close the peers at the test's end:
//
//	func TestGreeting(t *testing.T) {
//		server := tp.NewPeer(&tp.PeerConfig{})
//		tp.RegPull(server.PullRouter, "greet", greet)
//		client := tp.NewPeer(&tp.PeerConfig{})
//		sess, _ := tptest.Pair(t, client, server)
//
//		greeting, rerr := tp.Pull[string](sess, "/greet", "Ann")
//		if rerr != nil || greeting != "Hello, Ann!" {
//			t.Errorf("got %q, %v", greeting, rerr)
//		}
//	}
//
// A [Recorder] is a plugin that records which hooks ran, in which order, and
// waits for one. A [Listener] and a [Pipe] are connections in memory, for tests
// with more of them than there are ports or file descriptors. Package
// tptest/relay stands between a client and a server and makes the faults of a
// network: see the example of this package.
package tptest
