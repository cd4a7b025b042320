// Package proto has no code: it is where the tests of all packet formats on peers are.
// The formats are its subpackages; the usual one, "fast", is in package socket.
//
//   - rawproto: that of erpc v7
//   - jsonproto: lines of JSON, for scripts and browsers
//   - pbproto: messages of protocol buffers, for other languages
//   - httproto: HTTP/1.1, for curl and everything else
//   - thriftproto, a module of its own: that of Apache Thrift
//
// Package sniff tells those apart that are served on one address.
package proto
