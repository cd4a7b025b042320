package thriftproto

import (
	"fmt"
	"strings"

	"github.com/henrylee2cn/goutil"
)

// Transport is how thrift puts messages on a connection.
type Transport byte

const (
	// Header is THeader: frames in which key-value pairs come before the message. They
	// are the meta data of a packet, and say what thrift has no place for: the codec
	// of a body that is no struct, filters, and the types of packets above 3.
	Header Transport = iota
	// Framed is a length before each message (TFramedTransport). It carries pulls,
	// pushes and replies, with bodies of the codec thrift and no others, without
	// filters; meta data is left out, but for the error of a reply.
	Framed
	// Unframed is one message after the other (TBufferedTransport, or none). It carries
	// what Framed does.
	Unframed
)

// String returns "header", "framed" or "unframed".
func (t Transport) String() string {
	switch t {
	case Header:
		return "header"
	case Framed:
		return "framed"
	case Unframed:
		return "unframed"
	}
	return fmt.Sprintf("Transport(%d)", byte(t))
}

// Config has the settings of the format. The zero value of each field is its default.
type Config struct {
	// Transport is what is written until the first message has come; from then on
	// it is the transport of the message that came last. So it matters to who dials.
	// The default is Header.
	Transport Transport
	// Route returns the URI of the method that a call names. Names that begin with '/'
	// are URIs already, and are not asked for. The default is Route. It is called by
	// many goroutines at once.
	Route func(name string) string
	// Oneway tells that a caller of the method does not wait for a reply, although its
	// message says so: the clients of some languages, Go among them, send a oneway
	// as any other call. The default is that none does. It is called by many
	// goroutines at once.
	Oneway func(name string) bool
}

// complete returns a copy with the defaults in the place of what is nil.
func (c *Config) complete() Config {
	var full Config
	if c != nil {
		full = *c
	}
	if full.Transport > Unframed {
		panic(fmt.Sprintf("thriftproto: Config.Transport is %d: choose Header, Framed or Unframed", full.Transport))
	}
	if full.Route == nil {
		full.Route = Route
	}
	if full.Oneway == nil {
		full.Oneway = func(string) bool { return false }
	}
	return full
}

// Route returns the URI of a method as the library makes one of the names of a
// controller and its method: "addAll" is /add_all, and "Calculator:addAll", as a
// multiplexed protocol sends it, /calculator/add_all.
func Route(name string) string {
	parts := strings.Split(name, ":")
	for i, part := range parts {
		parts[i] = goutil.SnakeString(part)
	}
	return "/" + strings.Join(parts, "/")
}

// uri returns the URI of a call.
func (t *proto) uri(name string) string {
	if strings.HasPrefix(name, "/") {
		return name
	}
	return t.config.Route(name)
}
