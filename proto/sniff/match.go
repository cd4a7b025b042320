package sniff

import (
	"bytes"
	"fmt"
	"strings"
)

// Verdict is what a Matcher says of the first bytes of a connection.
type Verdict int8

const (
	// More says that more bytes have to come. It is No when none do.
	More Verdict = iota
	// Yes says that it is what the Matcher looks for, whatever follows.
	Yes
	// No says that it is not, whatever follows.
	No
)

// String returns "more", "yes" or "no".
func (v Verdict) String() string {
	switch v {
	case More:
		return "more"
	case Yes:
		return "yes"
	case No:
		return "no"
	}
	return fmt.Sprintf("Verdict(%d)", int8(v))
}

// Matcher tells of the first bytes of a connection whether they are what it looks for. b
// is never empty, must neither be changed nor kept, and is the same with more at its end
// when the Matcher has said More. It is called by many goroutines at once.
type Matcher func(b []byte) Verdict

// The first byte of a frame of less than 256 MiB, which begins with its size in four
// bytes. What is text, or TLS, is above.
const maxFirstByte = 0x0f

// Fast matches the default packet format (socket.FastProto): four bytes of size, then
// 'f'. The first packet must be less than 256 MiB.
func Fast(b []byte) Verdict { return sized(b, func(c byte) bool { return c == 'f' }) }

// maxFilters is how many transfer filters the first packet may have for Raw.
const maxFilters = 16

// Raw matches the packet format of package proto/rawproto: four bytes of size, then the
// number of filters. The first packet must be less than 256 MiB and have at most 16.
func Raw(b []byte) Verdict { return sized(b, func(c byte) bool { return c <= maxFilters }) }

// sized matches four bytes of size and one that is good.
func sized(b []byte, good func(byte) bool) Verdict {
	switch {
	case b[0] > maxFirstByte:
		return No
	case len(b) < 5:
		return More
	case good(b[4]):
		return Yes
	}
	return No
}

// TLS matches a TLS record with a ClientHello (RFC 8446, section 5.1). On a peer that has
// TLS no rule sees one: the peer makes the handshake. This is for passing it on.
func TLS(b []byte) Verdict {
	const handshake, major, clientHello = 22, 3, 1
	want := []int{handshake, major, -1, -1, -1, clientHello} // version and length may be any
	for i, c := range b[:min(len(b), len(want))] {
		if want[i] >= 0 && int(c) != want[i] {
			return No
		}
	}
	if len(b) < len(want) {
		return More
	}
	return Yes
}

// JSON matches a JSON object, as that of a packet of proto/jsonproto.
func JSON(b []byte) Verdict {
	b = bytes.TrimLeft(b, " \t\r\n")
	switch {
	case len(b) == 0:
		return More
	case b[0] == '{':
		return Yes
	}
	return No
}

// maxMethod is more than the longest method of HTTP that is registered.
const maxMethod = 32

// HTTP matches a request line of HTTP/1.0 or 1.1 (RFC 9112, section 3), WebSockets too.
func HTTP(b []byte) Verdict {
	line, _, whole := bytes.Cut(b, []byte("\n"))
	method, rest, ok := bytes.Cut(line, []byte(" "))
	for _, c := range method {
		if (c < 'A' || 'Z' < c) && c != '-' {
			return No
		}
	}
	if len(method) > maxMethod || ok && len(method) == 0 {
		return No
	}
	if !whole {
		return More
	}
	at := bytes.LastIndexByte(rest, ' ')
	if at <= 0 || !isHTTP1(bytes.TrimSuffix(rest[at+1:], []byte("\r"))) {
		return No
	}
	return Yes
}

func isHTTP1(version []byte) bool {
	return string(version) == "HTTP/1.1" || string(version) == "HTTP/1.0"
}

// WebSocket matches a request of HTTP/1.1 that opens a WebSocket (RFC 6455, section 4.1).
// It goes before HTTP, which matches that too. The header must not be longer
// than Config.MaxPeek.
func WebSocket(b []byte) Verdict {
	if v := HTTP(b); v != Yes {
		return v
	}
	if !bytes.HasPrefix(b, []byte("GET ")) {
		return No
	}
	_, header, _ := bytes.Cut(b, []byte("\n"))
	for {
		line, rest, whole := bytes.Cut(header, []byte("\n"))
		if !whole {
			return More
		}
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) == 0 {
			return No // the header is over
		}
		name, value, _ := strings.Cut(string(line), ":")
		if strings.EqualFold(name, "Upgrade") && hasToken(value, "websocket") {
			return Yes
		}
		header = rest
	}
}

func hasToken(list, want string) bool {
	for token := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(token), want) {
			return true
		}
	}
	return false
}

// Prefix returns a Matcher of what begins with one of the texts.
func Prefix(texts ...string) Matcher {
	return func(b []byte) Verdict {
		verdict := No
		for _, text := range texts {
			switch {
			case strings.HasPrefix(string(b), text):
				return Yes
			case strings.HasPrefix(text, string(b)):
				verdict = More
			}
		}
		return verdict
	}
}

// Any matches everything: for the last rule.
func Any([]byte) Verdict { return Yes }
