package httproto_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/henrylee2cn/teleport/internal/protometa"
	"github.com/henrylee2cn/teleport/internal/prototest"
	"github.com/henrylee2cn/teleport/proto/httproto"
	"github.com/henrylee2cn/teleport/socket"
)

var web = httproto.NewProtoFunc()

// date is what of a response is never the same.
var date = regexp.MustCompile(`Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n`)

// statusLine is what a response begins with. Those before it may end without a line end.
var statusLine = regexp.MustCompile(`HTTP/1\.1 \d{3} `)

// serve reads all that the segments are, and answers each pull with its URI, or with the
// answers if there are such. It returns what was read, what was written, and why it ended.
func serve(t testing.TB, opt socket.Options, answers []*socket.Packet, segments ...[]byte) (read []*socket.Packet, written string, end error) {
	t.Helper()
	near, far := pipe()
	go func() {
		for _, b := range segments {
			_, _ = far.Write(b)
		}
		far.CloseWrite()
	}()
	s := socket.NewConn(near, opt, web)
	for {
		p := prototest.Packet()
		if end = s.ReadPacket(p); end != nil {
			break
		}
		if read = append(read, p); p.Ptype() != protometa.Pull {
			continue
		}
		answer := socket.NewPacket(socket.WithBodyCodec('s'), socket.WithBody(p.Uri()))
		if len(answers) > 0 {
			answer, answers = answers[0], answers[1:]
		}
		answer.SetPtype(protometa.Reply)
		answer.SetSeq(p.Seq())
		answer.AppendXferPipeFrom(p)
		if err := s.WritePacket(answer); err != nil {
			t.Fatalf("answer %v: %v", p, err)
		}
	}
	near.Close()
	b, err := io.ReadAll(far)
	if err != nil {
		t.Fatal(err)
	}
	return read, date.ReplaceAllString(string(b), ""), end
}

// pipe returns both ends of a TCP conn.
func pipe() (near net.Conn, far *net.TCPConn) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer lis.Close()
	conn, err := net.Dial("tcp", lis.Addr().String())
	if err != nil {
		panic(err)
	}
	if near, err = lis.Accept(); err != nil {
		panic(err)
	}
	return near, conn.(*net.TCPConn)
}

const nosniff = "X-Content-Type-Options: nosniff\r\n"

func TestRequestAndResponse(t *testing.T) {
	errorMeta := socket.NewPacket(socket.WithAddMeta("X-A", "1"), socket.WithAddMeta("x-b", "ä"))
	protometa.Error{Code: 1001, Message: "m", Detail: "<d>"}.SetTo(errorMeta.Meta())
	for _, c := range []struct {
		name, request string
		answer        *socket.Packet
		read, written string
	}{
		{
			"curl -d", "POST /a/b?c=d&e=%20 HTTP/1.1\r\nHost: h:1\r\nUser-Agent: curl\r\naccept: */*\r\nContent-Length: 7\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n{\"a\":1}",
			socket.NewPacket(socket.WithBodyCodec('j'), socket.WithBody(map[string]int{"b": 2})),
			`{"seq":0,"ptype":1,"uri":"/a/b?c=d&e=%20","meta":"Host=h%3A1&User-Agent=curl&Accept=*%2F*","body_codec":106,"body":{"a":1},"size":0} filters  body {"a":1}`,
			"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + nosniff + "Content-Length: 7\r\n\r\n{\"b\":2}",
		},
		{
			"GET", "\r\nGET / HTTP/1.1\r\nHost:\r\nX-M: 1\r\nx-m:\t2 \t\r\n\r\n", nil,
			`{"seq":0,"ptype":1,"uri":"/","meta":"Host=&X-M=1&X-M=2&X-Http-Method=GET","body_codec":0,"body":"","size":0} filters  body `,
			"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n" + nosniff + "Content-Length: 1\r\n\r\n/",
		},
		{
			"HEAD", "HEAD /long HTTP/1.1\r\nHost: h\r\n\r\n", nil,
			`{"seq":0,"ptype":1,"uri":"/long","meta":"Host=h&X-Http-Method=HEAD","body_codec":0,"body":"","size":0} filters  body `,
			"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n" + nosniff + "Content-Length: 5\r\n\r\n",
		},
		{
			"push", "POST /p HTTP/1.1\r\nHost: h\r\nX-Packet-Type: push\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Length: 2\r\n\r\nhi", nil,
			`{"seq":0,"ptype":3,"uri":"/p","meta":"Host=h","body_codec":115,"body":"hi","size":0} filters  body hi`,
			"HTTP/1.1 202 Accepted\r\n" + nosniff + "Content-Length: 0\r\n\r\n",
		},
		{
			"error", "GET /a HTTP/1.1\r\nHost: h\r\n\r\n", errorMeta,
			`{"seq":0,"ptype":1,"uri":"/a","meta":"Host=h&X-Http-Method=GET","body_codec":0,"body":"","size":0} filters  body `,
			"HTTP/1.1 500 Internal Server Error\r\nX-A: 1\r\nx-b: ä\r\nContent-Type: application/json\r\n" + nosniff + "Content-Length: 43\r\n\r\n{\"code\":1001,\"message\":\"m\",\"detail\":\"<d>\"}\n",
		},
		{
			"chunks", "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\nContent-Type: application/octet-stream\r\n\r\n3\r\nabc\r\nA;x=\"y\" \r\n0123456789\r\n0\r\nX-T: 1\r\n\r\n", nil,
			`{"seq":0,"ptype":1,"uri":"/c","meta":"Host=h&Content-Type=application%2Foctet-stream","body_codec":0,"body":"abc0123456789","size":0} filters  body abc0123456789`,
			"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n" + nosniff + "Content-Length: 2\r\n\r\n/c",
		},
		{
			"HTTP/1.0", "GET /0 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", nil,
			`{"seq":0,"ptype":1,"uri":"/0","meta":"X-Http-Method=GET","body_codec":0,"body":"","size":0} filters  body `,
			"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Type: text/plain; charset=utf-8\r\n" + nosniff + "Content-Length: 2\r\n\r\n/0",
		},
		{
			"hop by hop", "GET http://other:2?x HTTP/1.1\r\nHost: h\r\nConnection: X-Hop , keep-alive\r\nx-hop: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nX-Tp-Caps: 1\r\nX-Reply-Error: {}\r\nDate: now\r\n\r\n",
			socket.NewPacket(socket.WithAddMeta("Content-Type", "text/html"), socket.WithAddMeta("X-Tp-Caps", "1"), socket.WithBodyCodec('s'), socket.WithBody("<p>")),
			`{"seq":0,"ptype":1,"uri":"/?x","meta":"Host=other%3A2&X-Http-Method=GET","body_codec":0,"body":"","size":0} filters  body `,
			"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n" + nosniff + "Content-Length: 3\r\n\r\n<p>",
		},
	} {
		var answers []*socket.Packet
		if c.answer != nil {
			answers = append(answers, c.answer)
		}
		read, written, end := serve(t, socket.Options{}, answers, []byte(c.request))
		if len(read) != 1 || end != io.EOF {
			t.Errorf("%s: %d packets, then %v; written %q", c.name, len(read), end, written)
			continue
		}
		if got := prototest.Describe(t, read[0]); got != c.read {
			t.Errorf("%s: read\n%s, want\n%s", c.name, got, c.read)
		}
		if written != c.written {
			t.Errorf("%s: written\n%q, want\n%q", c.name, written, c.written)
		}
	}
}

// What may be read in two ways, by a proxy and by us, is refused, and nothing after it is
// read. So is what is too much, or no HTTP.
func TestRefusals(t *testing.T) {
	const head = "POST /a HTTP/1.1\r\nHost: h\r\n"
	const smuggled = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
	for _, c := range []struct {
		name, request string
		status        int
	}{
		{"both lengths", head + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"both, the other way", head + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", 400},
		{"two lengths", head + "Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd", 400},
		{"list of lengths", head + "Content-Length: 4, 4\r\n\r\nabcd", 400},
		{"signed length", head + "Content-Length: +4\r\n\r\nabcd", 400},
		{"negative length", head + "Content-Length: -4\r\n\r\nabcd", 400},
		{"hexadecimal length", head + "Content-Length: 0x4\r\n\r\nabcd", 400},
		{"empty length", head + "Content-Length:\r\n\r\n", 400},
		{"huge length", head + "Content-Length: 99999999999999999999999\r\n\r\n", 413},
		{"length over the limit", head + "Content-Length: 100000\r\n\r\n", 413},
		{"chunks over the limit", head + "Transfer-Encoding: chunked\r\n\r\nFFFFFFF\r\n", 413},
		{"chunks of 64 bits", head + "Transfer-Encoding: chunked\r\n\r\n7FFFFFFFFFFFFFFF\r\n", 413},
		{"chunks of 65 bits", head + "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n", 400},
		{"chunk size", head + "Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n", 400},
		{"no chunk size", head + "Transfer-Encoding: chunked\r\n\r\n;a\r\n0\r\n\r\n", 400},
		{"chunk without end", head + "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", 400},
		{"chunk with another end", head + "Transfer-Encoding: chunked\r\n\r\n1\r\naXX0\r\n\r\n", 400},
		{"chunk with bare LF", head + "Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n", 400},
		{"long chunk extension", head + "Transfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("x", 300) + "\r\na\r\n0\r\n\r\n", 400},
		{"bad trailer", head + "Transfer-Encoding: chunked\r\n\r\n0\r\n x\r\n\r\n", 400},
		{"long trailers", head + "Transfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("a: "+strings.Repeat("x", 1000)+"\r\n", 9) + "\r\n", 400},
		{"chunked twice", head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501},
		{"another coding", head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
		{"hidden coding", head + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501},
		{"hidden by a control", head + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400},
		{"chunked in HTTP/1.0", "POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501},
		{"space before the colon", head + "Content-Length : 4\r\n\r\nabcd", 400},
		{"folded header", head + "X-A: 1\r\n 2\r\n\r\n", 400},
		{"folded first header", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", 400},
		{"bare LF", "GET / HTTP/1.1\nHost: h\n\n", 400},
		{"bare LF after a header", "GET / HTTP/1.1\r\nHost: h\nX: 1\r\n\r\n", 400},
		{"bare CR", "GET / HTTP/1.1\r\nHost: h\rX: 1\r\n\r\n", 400},
		{"NUL", "GET / HTTP/1.1\r\nHost: h\r\nX: a\x00b\r\n\r\n", 400},
		{"no colon", "GET / HTTP/1.1\r\nHost: h\r\nX\r\n\r\n", 400},
		{"no name", "GET / HTTP/1.1\r\nHost: h\r\n: x\r\n\r\n", 400},
		{"no Host", "GET / HTTP/1.1\r\n\r\n", 400},
		{"two Hosts", "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", 400},
		{"two Content-Types", head + "Content-Type: a/b\r\nContent-Type: a/b\r\n\r\n", 400},
		{"no version", "GET /\r\nHost: h\r\n\r\n", 400},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
		{"two spaces", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"space in the target", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"target that is no path", "GET a HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"target with a fragment", "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"target of a proxy", "CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"long head", "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 40<<10), 431},
		{"many headers", "GET / HTTP/1.1\r\n" + strings.Repeat("X: 1\r\n", 300) + "\r\n", 431},
		{"many hop-by-hop headers", "GET / HTTP/1.1\r\nHost: h\r\nConnection: " + strings.Repeat("a,", 300) + "\r\n\r\n", 431},
		{"no such packet type", head + "X-Packet-Type: x\r\n\r\n", 400},
		{"an expectation", head + "Expect: more\r\n\r\n", 417},
		{"unknown coding", head + "Content-Encoding: br\r\nContent-Length: 1\r\n\r\nx", 415},
		{"unknown filter", head + "Content-Encoding: x-tp-254\r\nContent-Length: 1\r\n\r\nx", 415},
		{"bad gzip", head + "Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx", 400},
		{"TLS", "\x16\x03\x01\x02\x00\x01", 400},
		{"a frame", "\x00\x00\x00\x18f", 400},
		{"empty lines", "\r\n\r\n\r\n", 400},
	} {
		read, written, end := serve(t, socket.Options{PacketLimit: 20 << 10}, nil, []byte(c.request+smuggled))
		want := fmt.Sprintf("HTTP/1.1 %d ", c.status)
		if len(read) != 0 || !strings.HasPrefix(written, want) || len(statusLine.FindAllString(written, -1)) != 1 {
			t.Errorf("%s: read %v, wrote %q", c.name, read, written)
		}
		if !strings.Contains(written, "Connection: close\r\n") || !strings.Contains(written, fmt.Sprintf(`{"code":%d,`, c.status)) {
			t.Errorf("%s: wrote %q", c.name, written)
		}
		if !errors.Is(end, socket.ErrNoMore) {
			t.Errorf("%s: ended with %v", c.name, end)
		}
	}
}

// Messages that are none for the user are packets of their own to FrameTimeout: it does
// not run on in the silence after one.
func TestSilenceAfterAnswered(t *testing.T) {
	const bound = 200 * time.Millisecond
	near, far := pipe()
	defer near.Close()
	defer far.Close()
	s := socket.NewConn(near, socket.Options{FrameTimeout: bound}, web)
	go func() {
		_, _ = io.WriteString(far, "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n")
		time.Sleep(2 * bound)
		_, _ = io.WriteString(far, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
	}()
	p := prototest.Packet()
	if err := s.ReadPacket(p); err != nil || p.Uri() != "/a" {
		t.Errorf("read %v, %v", p, err)
	}
}

// What is answered here leaves nothing behind: on a connection of a reverse proxy the next
// request is that of somebody else.
func TestAnsweredLeavesNothing(t *testing.T) {
	const other = " * HTTP/1.1\r\nHost: other\r\nX-User: root\r\nContent-Encoding: gzip\r\n\r\n"
	for _, first := range []string{"OPTIONS" + other, "PUT" + strings.Replace(other, "*", "/a", 1)} {
		read, _, _ := serve(t, socket.Options{}, nil, []byte(first+"GET /b HTTP/1.1\r\nHost: h\r\n\r\n"))
		if len(read) != 1 || read[0].Meta().String() != "Host=h&X-Http-Method=GET" || len(read[0].Filters()) > 0 {
			t.Errorf("after %q it read %v", first, read)
		}
	}
}

// Methods that there are not leave the connection as it was.
func TestMethods(t *testing.T) {
	read, written, end := serve(t, socket.Options{}, nil, []byte(
		"PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"+
			"DELETE /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"+
			"BREW /a HTTP/1.1\r\nHost: h\r\n\r\n"+
			"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"+
			"OPTIONS /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx"+
			"POST /last HTTP/1.1\r\nHost: h\r\n\r\n"))
	got := strings.Join(regexp.MustCompile(`HTTP/1\.1 \d{3}|Allow: .*\S`).FindAllString(written, -1), "\n")
	const allow = "Allow: GET, HEAD, POST, OPTIONS\n"
	want := "HTTP/1.1 405\n" + allow + "HTTP/1.1 405\n" + allow + "HTTP/1.1 501\nHTTP/1.1 204\n" + allow + "HTTP/1.1 204\n" + allow + "HTTP/1.1 200"
	if len(read) != 1 || end != io.EOF || got != want {
		t.Errorf("read %v, then %v, wrote\n%s", read, end, got)
	}
}

// A method that there is not is no malformed frame, and is refused without its body.
func TestLastMethod(t *testing.T) {
	const expects = "Host: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"
	for request, want := range map[string]string{
		"PUT /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc": "HTTP/1.1 405 ",
		"PUT /a HTTP/1.1\r\n" + expects:           "HTTP/1.1 405 ",
		"OPTIONS /a HTTP/1.1\r\n" + expects + "x": "HTTP/1.1 100 HTTP/1.1 204 ",
	} {
		read, written, end := serve(t, socket.Options{}, nil, []byte(request))
		if got := strings.Join(statusLine.FindAllString(written, -1), ""); len(read) != 0 || got != want {
			t.Errorf("%q: read %v, wrote %q", request, read, written)
		}
		if errors.Is(end, socket.ErrMalformed) || end != io.EOF && !errors.Is(end, socket.ErrNoMore) {
			t.Errorf("%q ended with %v", request, end)
		}
	}
}

func TestConnectionClose(t *testing.T) {
	for _, request := range []string{
		"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
		"GET /a HTTP/1.0\r\n\r\n",
		"POST /a HTTP/1.1\r\nHost: h\r\nX-Packet-Type: push\r\nConnection: Keep-Alive, Close\r\n\r\n",
	} {
		read, written, end := serve(t, socket.Options{}, nil, []byte(request+"GET /b HTTP/1.1\r\nHost: h\r\n\r\n"))
		if len(read) != 1 || end != socket.ErrNoMore || !strings.Contains(written, "Connection: close\r\n") || len(statusLine.FindAllString(written, -1)) != 1 {
			t.Errorf("read %v, then %v, wrote %q", read, end, written)
		}
	}
}

// Responses leave in the order of the requests, whenever they are done.
func TestOrderOfResponses(t *testing.T) {
	var requests []byte
	for i := range 5 {
		requests = fmt.Appendf(requests, "GET /%d HTTP/1.1\r\nHost: h\r\n\r\n", i)
	}
	requests = append(requests, "POST /push HTTP/1.1\r\nHost: h\r\nX-Packet-Type: push\r\n\r\n"...)
	near, far := pipe()
	defer far.Close()
	_, _ = far.Write(requests)
	// Together they are over the limit; each is not.
	s := socket.NewConn(near, socket.Options{PacketLimit: 400}, web)
	defer s.Close()
	for range 6 {
		if err := s.ReadPacket(prototest.Packet()); err != nil {
			t.Fatal(err)
		}
	}
	for _, seq := range []uint64{3, 1, 4, 2, 0} {
		p := socket.NewPacket(socket.WithPtype(2), socket.WithSeq(seq), socket.WithBodyCodec('s'), socket.WithBody(fmt.Sprintf("<%d>", seq)))
		if err := s.WritePacket(p); err != nil {
			t.Fatal(err)
		}
		if err := s.WritePacket(p); !errors.Is(err, httproto.ErrNotCarried) {
			t.Errorf("a second response to %d: %v", seq, err)
		}
	}
	s.Close()
	b, _ := io.ReadAll(far)
	order := ""
	for _, m := range regexp.MustCompile(`<\d>|202 Accepted`).FindAllString(string(b), -1) {
		order += m
	}
	if order != "<0><1><2><3><4>202 Accepted" {
		t.Errorf("got %s in %q", order, b)
	}
}

// No more requests are read than may be under way, and closing ends the wait.
func TestPipelineIsBounded(t *testing.T) {
	near, far := pipe()
	defer far.Close()
	go func() { _, _ = far.Write(bytes.Repeat([]byte("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), 100)) }()
	s := socket.NewConn(near, socket.Options{}, web)
	read := make(chan error, 100)
	go func() {
		for {
			err := s.ReadPacket(prototest.Packet())
			read <- err
			if err != nil {
				return
			}
		}
	}()
	next := func(want int) {
		t.Helper()
		for range want {
			if err := <-read; err != nil {
				t.Fatal(err)
			}
		}
		select {
		case err := <-read:
			t.Fatalf("one more was read: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
	next(64)
	for seq := range uint64(3) {
		if err := s.WritePacket(socket.NewPacket(socket.WithPtype(2), socket.WithSeq(seq))); err != nil {
			t.Fatal(err)
		}
	}
	next(3)
	s.Close()
	if err := <-read; !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// A refusal comes after the answers to what came before.
func TestRefusalInItsTurn(t *testing.T) {
	near, far := pipe()
	defer far.Close()
	_, _ = far.Write([]byte("GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost : h\r\n\r\n"))
	s := socket.NewConn(near, socket.Options{}, web)
	p := prototest.Packet()
	if err := s.ReadPacket(p); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.ReadPacket(prototest.Packet()) }()
	select {
	case err := <-ended:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	if err := s.WritePacket(socket.NewPacket(socket.WithPtype(2), socket.WithSeq(p.Seq()))); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, socket.ErrNoMore) || !errors.Is(err, socket.ErrMalformed) {
		t.Errorf("got %v", err)
	}
	s.Close()
	b, _ := io.ReadAll(far)
	if ok, _ := regexp.Match(`(?s)^HTTP/1.1 200 .*HTTP/1.1 400 `, b); !ok {
		t.Errorf("got %q", b)
	}
}

func TestContinue(t *testing.T) {
	near, far := pipe()
	defer far.Close()
	s := socket.NewConn(near, socket.Options{}, web)
	defer s.Close()
	read := make(chan error, 1)
	p := prototest.Packet()
	go func() { read <- s.ReadPacket(p) }()
	_, _ = far.Write([]byte("POST /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"))
	const want = "HTTP/1.1 100 Continue\r\n\r\n"
	b := make([]byte, len(want))
	if _, err := io.ReadFull(far, b); err != nil || string(b) != want {
		t.Fatalf("got %q, %v", b, err)
	}
	_, _ = far.Write([]byte("abc"))
	if err := <-read; err != nil || prototest.Body(p) != "abc" {
		t.Errorf("got %v, %v", p, err)
	}
}

// Who asks first whether to send a body that is too large does not have to send it.
func TestNoContinueBeyondLimit(t *testing.T) {
	read, written, _ := serve(t, socket.Options{PacketLimit: 1000}, nil, []byte("POST /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n"))
	if len(read) != 0 || !strings.HasPrefix(written, "HTTP/1.1 413 ") {
		t.Errorf("read %v, wrote %q", read, written)
	}
}

// A request whose body cannot be decoded is answered in its place: otherwise the client
// would take each answer after it for that of another request.
func TestUndecodableHasItsPlace(t *testing.T) {
	near, far := pipe()
	defer far.Close()
	const head = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n"
	_, _ = io.WriteString(far, head+"x"+head+"2")
	s := socket.NewConn(near, socket.Options{}, web)
	for i, code := range []int32{400, 200} {
		var n int
		p := socket.NewPacket(socket.WithBody(&n))
		err := s.ReadPacket(p)
		if (code == 400) != errors.Is(err, socket.ErrUndecodable) || p.Seq() != uint64(i) {
			t.Fatalf("packet %d: %v, %v", i, p, err)
		}
		answer := socket.NewPacket(socket.WithPtype(2), socket.WithSeq(p.Seq()))
		if err != nil {
			protometa.Error{Code: code}.SetTo(answer.Meta())
		}
		if err := s.WritePacket(answer); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	b, _ := io.ReadAll(far)
	if got := statusLine.FindAllString(string(b), -1); len(got) != 2 || got[0] != "HTTP/1.1 400 " {
		t.Errorf("got %q", b)
	}
}

// A codec that is not there is the Content-Type's fault, whichever way it says so.
func TestUnknownMedia(t *testing.T) {
	for media, codec := range map[string]byte{
		"application/vnd.teleport; codec=250": 250, "application/vnd.teleport; codec=999": 0, "application/vnd.teleport": 0, "image/png": 0,
	} {
		answer := socket.NewPacket()
		protometa.Error{Code: 501}.SetTo(answer.Meta())
		read, written, _ := serve(t, socket.Options{}, []*socket.Packet{answer}, []byte("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Type: "+media+"\r\n\r\nx"))
		if len(read) != 1 || read[0].BodyCodec() != codec || !strings.HasPrefix(written, "HTTP/1.1 415 ") {
			t.Errorf("%s: read %v, wrote %q", media, read, written)
		}
	}
}

// A server that reads and never answers does not make the client note requests for ever.
func TestUnansweredIsBounded(t *testing.T) {
	h := web(struct {
		io.Reader
		io.Writer
	}{strings.NewReader(""), io.Discard})
	p := request("/a", "")
	for i := range 1 << 17 {
		if err := h.Pack(p); err != nil {
			if i < 1<<12 || !errors.Is(err, httproto.ErrNotCarried) {
				t.Errorf("request %d: %v", i, err)
			}
			return
		}
	}
	t.Error("it has no bound")
}

func TestGzip(t *testing.T) {
	long := strings.Repeat("long ", 1000)
	plain := prototest.Pack(t, web, request("/z", long))
	zipped := prototest.Pack(t, web, request("/z", long, 'g'))
	if !bytes.Contains(zipped, []byte("Content-Encoding: gzip\r\n")) || len(zipped) > len(plain)/2 {
		t.Errorf("written %q", zipped)
	}
	answer := func(text string) []*socket.Packet {
		return []*socket.Packet{socket.NewPacket(socket.WithBodyCodec('s'), socket.WithBody(text))}
	}
	both := strings.Replace(string(plain), "Content-Type", "Accept-Encoding: br;q=1, gzip;q=0.5\r\nContent-Type", 1)
	never := strings.Replace(string(zipped), "Accept-Encoding: gzip", "Accept-Encoding: gzip;q=0", 1)
	only := socket.Options{AllowFilter: func(byte) bool { return false }}
	for _, c := range []struct {
		name    string
		opt     socket.Options
		request string
		answer  string
		zipped  bool
	}{
		{"not asked for", socket.Options{}, string(plain), long, false},
		{"asked for", socket.Options{}, both, long, true},
		{"asked for, but short", socket.Options{}, both, "short", false},
		{"not allowed here", only, both, long, false},
		{"sent so", socket.Options{}, string(zipped), long, true},
		{"sent so, but not taken", socket.Options{}, never, long, false},
	} {
		read, written, _ := serve(t, c.opt, answer(c.answer), []byte(c.request))
		if len(read) != 1 || prototest.Body(read[0]) != long {
			t.Errorf("%s: read %.200v", c.name, read)
		}
		if got := strings.Contains(written, "Content-Encoding: gzip\r\n"); got != c.zipped || !got && !strings.HasSuffix(written, c.answer) {
			t.Errorf("%s: wrote %.200q", c.name, written)
		}
	}
	read, written, _ := serve(t, only, nil, zipped)
	if len(read) != 0 || !strings.HasPrefix(written, "HTTP/1.1 415 ") {
		t.Errorf("sent so, but not allowed: %v, %q", read, written)
	}
	read, written, _ = serve(t, socket.Options{PacketLimit: 2000}, nil, zipped)
	if len(read) != 0 || !strings.HasPrefix(written, "HTTP/1.1 400 ") {
		t.Errorf("a bomb: %v, %q", read, written)
	}
}

func request(uri, body string, filters ...byte) *socket.Packet {
	return socket.NewPacket(socket.WithPtype(1), socket.WithUri(uri), socket.WithBodyCodec('s'), socket.WithBody(body), socket.WithXferPipe(filters...))
}

func TestWhatIsNotCarried(t *testing.T) {
	pull := func(uri string, settings ...socket.PacketSetting) *socket.Packet {
		return socket.NewPacket(append(settings, socket.WithPtype(1), socket.WithUri(uri))...)
	}
	for name, p := range map[string]*socket.Packet{
		"PING":              socket.NewPacket(socket.WithPtype(6)),
		"CANCEL":            socket.NewPacket(socket.WithPtype(4)),
		"no URI":            pull(""),
		"no path":           pull("a"),
		"injected target":   pull("/a HTTP/1.1\r\nX: 1"),
		"space":             pull("/a b"),
		"UTF-8":             pull("/ä"),
		"injected value":    pull("/", socket.WithAddMeta("K", "1\r\nX: 2")),
		"LF alone":          pull("/", socket.WithAddMeta("K", "1\nX: 2")),
		"injected key":      pull("/", socket.WithAddMeta("K: 1\r\nX", "2")),
		"empty key":         pull("/", socket.WithAddMeta("", "2")),
		"Content-Length":    pull("/", socket.WithAddMeta("content-length", "2")),
		"Transfer-Encoding": pull("/", socket.WithAddMeta("Transfer-Encoding", "chunked")),
		"Connection":        pull("/", socket.WithAddMeta("Connection", "close")),
		"type":              pull("/", socket.WithAddMeta("Content-Type", "a\r\nb")),
		"method":            pull("/", socket.WithAddMeta("X-Http-Method", "GET /x HTTP/1.1\r\n")),
		"a reply":           socket.NewPacket(socket.WithPtype(2)),
	} {
		err := prototest.PackError(t, socket.Options{}, web, p, pull("/good"))
		if !errors.Is(err, httproto.ErrNotCarried) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func samples() []*socket.Packet {
	return []*socket.Packet{
		socket.NewPacket(socket.WithPtype(1), socket.WithUri("/a?b=c"), socket.WithAddMeta("K", "v"), socket.WithAddMeta("K", "2"), socket.WithBody(map[string]int{"a": 1})),
		socket.NewPacket(socket.WithPtype(3), socket.WithUri("/p"), socket.WithBodyCodec('s'), socket.WithBody("text")),
		socket.NewPacket(socket.WithPtype(1), socket.WithUri("/g"), socket.WithBody(strings.Repeat("z", 300)), socket.WithXferPipe('g')),
		socket.NewPacket(socket.WithPtype(1), socket.WithUri("/x"), socket.WithBodyCodec(200), socket.WithBody([]byte{0, 0xff})),
	}
}

func TestSplits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // at the end, Unpack waits for answers
		frames := append(prototest.Pack(t, web, samples()...),
			"POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n\"ab\r\n2;x\r\nc\"\r\n0\r\nX: 1\r\n\r\n"...)
		got := prototest.Splits(t, web, frames)
		if len(got) != len(samples())+1 {
			t.Fatalf("%d packets", len(got))
		}
		if last := got[len(got)-1]; !strings.HasSuffix(last, `body "abc"`) {
			t.Errorf("got %s", last)
		}
		if x := got[3]; !strings.Contains(x, `"body_codec":200,`) || !strings.HasSuffix(x, "body \x00\xff") {
			t.Errorf("got %s", x)
		}
	})
}

func TestTruncations(t *testing.T) {
	for _, p := range samples() {
		prototest.Truncations(t, web, prototest.Pack(t, web, p))
	}
	prototest.Truncations(t, web, []byte("POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX: 1\r\n\r\n"))
}

func TestClaims(t *testing.T) {
	prototest.Claims(t, web, []byte("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 500000000\r\n\r\nx"))
	prototest.Claims(t, web, []byte("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1FFFFFFF\r\nx"))
}

func TestLimits(t *testing.T) {
	for _, p := range samples()[:2] {
		prototest.Limits(t, web, p)
	}
}

// Whatever comes, requests are read as themselves, and what is refused is answered.
func FuzzHttpUnpack(f *testing.F) {
	for _, p := range samples() {
		f.Add(prototest.Pack(f, web, p))
	}
	for _, s := range []string{
		"GET / HTTP/1.0\r\n\r\n", "GET http://h/ HTTP/1.1\r\nHost: x\r\nConnection: close, x\r\n\r\n",
		"POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: 1\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		prototest.Fuzz(t, web, data, func(p *socket.Packet) {
			p.SetSeq(0)                   // counted on each conn
			p.Meta().Del("X-Http-Method") // only a POST has a body for us
			if p.BodyCodec() == 0 {       // what a request without a codec says is another matter
				p.SetBodyCodec(200)
				p.Meta().Del("Content-Type")
			}
			if len(prototest.Body(p)) == 0 {
				p.XferPipe().Reset()
			}
			again := prototest.Unpack(t, web, prototest.Pack(t, web, p))
			p.SetMeta(again.Meta()) // in the order of ours
		}, httproto.ErrNotCarried, socket.ErrExceedHeaderLimit)
	})
}

// FuzzHttpResponse is the same for the side that sends requests.
func FuzzHttpResponse(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "HTTP/1.0 404 No\r\n\r\nrest", "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 204 N\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n1\r\na\r\n0\r\n\r\n",
		"HTTP/1.1 500 E\r\nContent-Length: 10\r\n\r\n{\"code\":7}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := prototest.NewConn(socket.Options{PacketLimit: 64 << 10}, web, data)
		if err := c.WritePacket(socket.NewPacket(socket.WithPtype(1), socket.WithSeq(5), socket.WithUri("/u"))); err != nil {
			t.Fatal(err)
		}
		p := prototest.Packet()
		if err := c.ReadPacket(p); err == nil && (p.Seq() != 5 || p.Ptype() != 2 || p.Uri() != "/u") {
			t.Fatalf("got %v", p)
		}
	})
}

func BenchmarkHttpPack(b *testing.B) { prototest.BenchPack(b, web) }

// BenchmarkHttpUnpack reads requests that are answered at once, since there is a bound of
// those that are not.
func BenchmarkHttpUnpack(b *testing.B) { prototest.BenchUnpackAnswered(b, web) }
