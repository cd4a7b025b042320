// Package quic is the transport of "quic://host:port" addresses: a session over QUIC
// (RFC 9000), on UDP. Importing it registers the scheme:
//
//	import _ "github.com/henrylee2cn/teleport/transport/quic"
//
//	server := tp.NewPeer(&tp.PeerConfig{
//		ListenAddrs: []string{"quic://0.0.0.0:9090"},
//		TlsCertFile: "cert.pem",
//		TlsKeyFile:  "key.pem",
//	})
//
// A session is one QUIC connection with one bidirectional stream, which is a
// [net.Conn] with everything that a conn of TCP has: deadlines, CloseWrite, addresses.
// QUIC has no plain text, so a listener needs a TLS configuration with a certificate.
// TLS is 1.3, the application protocol (ALPN) is [Protocol], and nothing is sent
// before the handshake is over (0-RTT is off), since it could be replayed.
//
// What it has that TCP has not: a client whose address changes keeps its session; the
// handshake of transport and TLS takes one round trip; and losses are repaired in user
// space, alike on all systems. What it costs is processor time: for the same calls about
// twice as much as TLS on TCP.
//
// [Transport] is safe for concurrent use. What goes over the wire is in doc/quic.md of
// the library.
package quic
