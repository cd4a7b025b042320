package proto_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/internal/counterpart"
	"github.com/henrylee2cn/teleport/proto/httproto"
	"github.com/henrylee2cn/teleport/proto/jsonproto"
	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/tptest"
)

// curl runs it with -i, and returns all that came and its last status.
func curl(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	cmd := exec.CommandContext(ctx, "curl", append([]string{"-sS", "-i", "--noproxy", "*"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s%s", cmd, err, out, &stderr)
	}
	return string(out)
}

func TestCurl(t *testing.T) {
	counterpart.Find(t, "curl", "curl")
	server, served := newPeer(tp.PeerConfig{PacketSizeLimit: 3 << 20})
	url := "http://" + tptest.Serve(t, server, httproto.NewProtoFunc())
	large := strings.Repeat("x", 2<<20)
	for _, c := range []struct {
		name string
		args []string
		want []string // the first is the status line, the last the end
	}{
		{"pull", []string{"-d", `{"a":1}`, url + "/group/home/test"}, []string{"HTTP/1.1 200 OK", "Content-Type: application/json", `{"a":2}`}},
		{"pull with a type", []string{"-d", `{"a":1}`, "-H", "Content-Type: application/json", url + "/group/home/test?x=y"}, []string{"HTTP/1.1 200 OK", `{"a":2}`}},
		{"GET with a query and a header", []string{"-H", "x-token: t", url + "/about?q=a%20b"}, []string{"HTTP/1.1 200 OK", `"/about a b t"`}},
		{"HEAD", []string{"-I", url + "/about"}, []string{"HTTP/1.1 200 OK", "Content-Length: 10", "\r\n\r\n"}},
		{"text", []string{"-d", "hello", "-H", "Content-Type: text/plain", url + "/text"}, []string{"HTTP/1.1 200 OK", "Content-Type: text/plain; charset=utf-8", "re:hello"}},
		{"error of the handler", []string{"-d", `{"a":1001}`, url + "/fail"}, []string{"HTTP/1.1 500 Internal Server Error", `{"code":1001,"message":"it <failed>","detail":"of course\n\"so\""}` + "\n"}},
		{"error with a status", []string{"-d", `{"a":403}`, url + "/fail"}, []string{"HTTP/1.1 403 Forbidden", `"code":403`, "\n"}},
		{"no handler", []string{url + "/nowhere"}, []string{"HTTP/1.1 404 Not Found", `"code":404`, "\n"}},
		{"a pull of a push", []string{"-d", "{}", url + "/note"}, []string{"HTTP/1.1 405 Method Not Allowed", `"code":405`, "\n"}},
		{"bad args", []string{"-d", `{"a":"x"}`, url + "/group/home/test"}, []string{"HTTP/1.1 400 Bad Request", `"code":400`, "\n"}},
		{"unknown type", []string{"-d", `x`, "-H", "Content-Type: image/png", url + "/group/home/test"}, []string{"HTTP/1.1 415 Unsupported Media Type", `"code":501`, "\n"}},
		{"unknown type for bytes", []string{"-d", `x`, "-H", "Content-Type: image/png", url + "/echo"}, []string{"HTTP/1.1 200 OK", "x"}},
		{"long header", []string{"-H", "X: " + strings.Repeat("x", 20<<10), url + "/about"}, []string{"HTTP/1.1 400 Bad Request", "MetaSizeLimit", "\n"}},
		{"push", []string{"-d", `{"s":"pushed"}`, "-H", "X-Packet-Type: push", url + "/note"}, []string{"HTTP/1.1 202 Accepted", "\r\n\r\n"}},
		{"OPTIONS", []string{"-X", "OPTIONS", url + "/note"}, []string{"HTTP/1.1 204 No Content", "Allow: GET, HEAD, POST, OPTIONS", "\r\n\r\n"}},
		{"PUT", []string{"-X", "PUT", "-d", "1", url + "/note"}, []string{"HTTP/1.1 405 Method Not Allowed", "Allow: ", "\n"}},
		{"HTTP/1.0", []string{"-0", "-d", `{"a":1}`, url + "/group/home/test"}, []string{"HTTP/1.1 200 OK", "Connection: close", `{"a":2}`}},
		{"close", []string{"-H", "Connection: close", "-d", `{"a":1}`, url + "/group/home/test"}, []string{"HTTP/1.1 200 OK", "Connection: close", `{"a":2}`}},
		{"100-continue", []string{"-H", "Expect: 100-continue", "-d", "@-", "-H", "Content-Type: text/plain", url + "/text"}, []string{"HTTP/1.1 100 Continue", "HTTP/1.1 200 OK", "re:" + large}},
		{"chunks", []string{"-H", "Transfer-Encoding: chunked", "-d", "@-", "-H", "Content-Type: text/plain", url + "/text"}, []string{"HTTP/1.1", "200 OK", "re:" + large}},
		{"compressed", []string{"--compressed", "-d", "@-", "-H", "Content-Type: text/plain", url + "/text"}, []string{"HTTP/1.1", "Content-Encoding: gzip", "Vary: Accept-Encoding", "re:" + large}},
		{"over the limit", []string{"-H", "Expect:", "-d", "@-", "-H", "Content-Type: text/plain", "-H", "Content-Length: 4000000", url + "/text"}, []string{"HTTP/1.1 413 Request Entity Too Large", "Connection: close", `"code":413`, "\n"}},
		{"two on one connection", []string{"-d", `{"a":1}`, url + "/group/home/test", "--next", "-sS", "-i", "--noproxy", "*", "-d", `{"a":5}`, url + "/group/home/test"}, []string{"HTTP/1.1 200 OK", `{"a":2}`, "HTTP/1.1 200 OK", `{"a":6}`}},
		{"a thousand of one client", []string{"-Z", "-d", `{"a":1}`, url + "/group/home/test?[1-1000]"}, []string{"HTTP/1.1 200 OK", ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := c.args
			for i, arg := range args { // what is too long for the command line
				if arg == "@-" {
					file := t.TempDir() + "/body"
					writeFile(t, file, large)
					args[i] = "@" + file
				}
			}
			got := curl(t, args...)
			rest := got
			for _, want := range c.want[:len(c.want)-1] {
				_, after, ok := strings.Cut(rest, want)
				if !ok {
					t.Fatalf("no %q in %.2000q", want, got)
				}
				rest = after
			}
			if !strings.HasPrefix(got, c.want[0]) || !strings.HasSuffix(got, c.want[len(c.want)-1]) {
				t.Errorf("got %.2000q", got)
			}
		})
	}
	served.push(t, "pushed")
}

// The client and the transport of net/http, which keeps connections.
func TestNetHTTPClient(t *testing.T) {
	server, served := newPeer(tp.PeerConfig{})
	url := "http://" + tptest.Serve(t, server, httproto.NewProtoFunc())
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 8}, Timeout: bound}
	defer client.CloseIdleConnections()
	var all sync.WaitGroup
	for i := range 1000 {
		all.Go(func() {
			resp, err := client.Post(url+"/group/home/test", "application/json", strings.NewReader(fmt.Sprintf(`{"a":%d}`, i)))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			var got args
			if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || got.A != i+1 || resp.StatusCode != 200 {
				t.Errorf("pull %d: %s, %v, %v", i, resp.Status, got, err)
			}
		})
	}
	all.Wait()
	if n := server.CountSession(); n > 8 {
		t.Errorf("%d connections, for a client that has 8", n)
	}

	large := bytes.Repeat([]byte("compressible "), 1<<20/13)
	var zipped bytes.Buffer
	zw := gzip.NewWriter(&zipped)
	_, _ = zw.Write(large)
	_ = zw.Close()
	req, _ := http.NewRequest("POST", url+"/echo", &zipped)
	req.Header.Set("Content-Encoding", "gzip")
	req.Header.Set("Content-Type", "text/plain")
	resp, err := client.Do(req) // which takes gzip by itself
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || !resp.Uncompressed || !bytes.Equal(got, large) {
		t.Errorf("1 MiB: %d bytes, %v, uncompressed %v", len(got), err, resp.Uncompressed)
	}

	// A client that leaves ends the handler's context.
	ctx, leave := context.WithCancel(context.Background())
	req, _ = http.NewRequestWithContext(ctx, "GET", url+"/wait", nil)
	left := make(chan error, 1)
	go func() {
		resp, err := client.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		left <- err
	}()
	served.push(t, "waits")
	leave()
	if err := <-left; err == nil {
		t.Error("it was answered")
	}
	select {
	case <-served.ended:
	case <-time.After(bound):
		t.Error("the handler was not told")
	}
}

// A session is a client of any HTTP server.
func TestNetHTTPServer(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /add", func(w http.ResponseWriter, r *http.Request) {
		var a args
		if err := json.NewDecoder(r.Body).Decode(&a); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("X-Host", r.Host)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"a":%d,"s":%q}`, a.A+1, r.Header.Get("X-Token")+r.URL.Query().Get("q"))
	})
	mux.HandleFunc("GET /chunks", func(w http.ResponseWriter, _ *http.Request) {
		for range 3 {
			_, _ = io.WriteString(w, "chunk ")
			w.(http.Flusher).Flush()
		}
	})
	mux.HandleFunc("POST /late", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusNoContent)
	})
	pushed := make(chan string, 1)
	mux.HandleFunc("POST /push", func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		pushed <- r.Header.Get("X-Packet-Type") + " " + string(b)
		http.Error(w, "who cares", http.StatusTeapot)
	})
	mux.HandleFunc("POST /close", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		_, _ = io.WriteString(w, "bye")
	})
	web := httptest.NewServer(mux)
	defer web.Close()

	client, _ := newPeer(tp.PeerConfig{})
	defer client.Close()
	sess, rerr := client.Dial(strings.TrimPrefix(web.URL, "http://"), httproto.NewProtoFunc())
	if rerr != nil {
		t.Fatal(rerr)
	}
	var got args
	cmd := sess.Pull("/add?q=1", args{A: 1}, &got, tp.WithAddMeta("X-Token", "t"))
	if rerr := cmd.Rerror(); rerr != nil || got != (args{A: 2, S: "t1"}) {
		t.Errorf("pull: %v, %v", got, rerr)
	}
	if host := string(cmd.InputMeta().Peek("X-Host")); "http://"+host != web.URL {
		t.Errorf("the host is %q", host)
	}
	text, rerr := tp.Pull[string](sess, "/chunks", nil, tp.WithAddMeta("X-Http-Method", "GET"))
	if rerr != nil || text != "chunk chunk chunk " {
		t.Errorf("GET in chunks: %q, %v", text, rerr)
	}
	if rerr := sess.Pull("/late", 1, nil).Rerror(); rerr != nil {
		t.Errorf("204 after 103: %v", rerr)
	}
	_, rerr = tp.Pull[args](sess, "/add", "no object")
	if rerr == nil || rerr.Code != 400 || rerr.Message != "Bad Request" || !strings.Contains(rerr.Detail, "json") {
		t.Errorf("400: %v", rerr)
	}
	_, rerr = tp.Pull[args](sess, "/nowhere", nil)
	if rerr == nil || *rerr != *tp.NewRerror(404, "Not Found", "404 page not found\n") {
		t.Errorf("404: %v", rerr)
	}
	if rerr := sess.Push("/push", "p"); rerr != nil {
		t.Error(rerr)
	}
	if got := <-pushed; got != `push "p"` {
		t.Errorf("pushed: %q", got)
	}
	var all sync.WaitGroup
	for i := range 100 { // on one connection: the server takes one after the other
		all.Go(func() {
			got, rerr := tp.Pull[args](sess, "/add", args{A: i})
			if rerr != nil || got.A != i+1 {
				t.Errorf("pull %d: %v, %v", i, got, rerr)
			}
		})
	}
	all.Wait()
	if text, rerr := tp.Pull[string](sess, "/close", nil); rerr != nil || text != "bye" {
		t.Errorf("the last: %q, %v", text, rerr)
	}
	select {
	case <-sess.CloseNotify():
	case <-time.After(bound):
		t.Error("the session goes on after Connection: close")
	}
}

// A client that says that it sends no more gets its answers, in HTTP and in lines of JSON.
func TestHalfClosed(t *testing.T) {
	server, _ := newPeer(tp.PeerConfig{})
	web := tptest.Serve(t, server, httproto.NewProtoFunc())
	lines := listen(t, server, jsonproto.NewProtoFunc())
	for _, c := range []struct{ addr, send, want string }{
		{web, "POST /group/home/test HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\n\r\n{\"a\":1}", "\r\n\r\n{\"a\":2}"},
		{lines, `{"uri":"/group/home/test","body":{"a":1}}` + "\n", `{"seq":0,"type":"reply","uri":"/group/home/test","meta":{"X-Tp-Caps":"1"},"body":{"a":2}}` + "\n"},
	} {
		conn, err := net.Dial("tcp", c.addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(bound))
		_, _ = io.WriteString(conn, c.send)
		_ = conn.(*net.TCPConn).CloseWrite()
		got, err := io.ReadAll(conn)
		if err != nil || !strings.HasSuffix(string(got), c.want) {
			t.Errorf("got %q, %v, want %q", got, err, c.want)
		}
		conn.Close()
	}
}

// What a handler sets as meta data cannot become a line of the response.
func TestHeaderInjection(t *testing.T) {
	server, _ := newPeer(tp.PeerConfig{})
	url := "http://" + tptest.Serve(t, server, httproto.NewProtoFunc())
	client := &http.Client{Transport: new(http.Transport), Timeout: bound}
	defer client.CloseIdleConnections()
	for _, c := range []struct {
		body   string
		status int
	}{
		{`["X-Good","v"]`, 200},
		{`["X","1\r\nSet-Cookie: a=b"]`, 500},
		{`["X\r\nSet-Cookie","a"]`, 500},
		{`["Content-Length","0"]`, 500},
		{`["Connection","close"]`, 500},
		{`["X","\u0000"]`, 500},
	} {
		resp, err := client.Post(url+"/meta", "application/json", strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != c.status || resp.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %s %v %s", c.body, resp.Status, resp.Header, b)
		}
	}
}

// A large request that is refused is told why, though much of it was not read.
func TestRefusedWhileSending(t *testing.T) {
	server, _ := newPeer(tp.PeerConfig{PacketSizeLimit: 1 << 20})
	addr := tptest.Serve(t, server, httproto.NewProtoFunc())
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(bound))
	// At once: a write that fails would take the reset off the conn.
	_, err = conn.Write(append([]byte("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2000000\r\n\r\n"), make([]byte, 200_000)...))
	if err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); resp.StatusCode != 413 || err != nil || !bytes.Contains(b, []byte("PacketSizeLimit")) {
		t.Errorf("got %s %s, %v", resp.Status, b, err)
	}
	if _, err := r.ReadByte(); err != io.EOF { // a reset may have cost the response
		t.Errorf("the connection ended with %v", err)
	}
}

// A client can have responses wait for an earlier one for as long as it likes. Beyond the
// packet limit they are not kept, and it is told so.
func TestWaitingResponsesAreBounded(t *testing.T) {
	const requests, limit, size = 40, 4 << 20, 1 << 20
	answered := new(answers)
	server, served := newPeer(tp.PeerConfig{PacketSizeLimit: limit}, answered)
	body := make([]byte, size) // one for all: what grows is what waits
	tp.RegPull(server.PullRouter, "large", func(tp.PullCtx, *[]byte) ([]byte, *tp.Rerror) { return body, nil })
	conn, err := net.Dial("tcp", tptest.Serve(t, server, httproto.NewProtoFunc()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(bound))
	before := heap()
	_, _ = io.WriteString(conn, "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n"+strings.Repeat("GET /large HTTP/1.1\r\nHost: h\r\n\r\n", requests))
	served.push(t, "waits")
	for begun := time.Now(); answered.n.Load() < requests; time.Sleep(time.Millisecond) {
		if time.Since(begun) > bound {
			t.Fatalf("%d of %d have an answer", answered.n.Load(), requests)
		}
	}
	if grown := heap() - before; grown > 2*limit {
		t.Errorf("%d MiB wait, where a packet has at most %d", grown>>20, limit>>20)
	}

	served.release <- struct{}{}
	r, large := bufio.NewReader(conn), 0
	for i := range 1 + requests {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		switch {
		case err == nil && resp.StatusCode == 200 && (len(b) == size || i == 0):
			large += min(i, 1)
		case resp.StatusCode != 500 || !bytes.Contains(b, []byte("wait for an earlier one")):
			t.Errorf("response %d: %s, %d bytes, %v", i, resp.Status, len(b), err)
		}
	}
	if large != limit/size-1 { // with their headers, no more fit
		t.Errorf("%d of %d were sent", large, requests)
	}
	fmt.Fprint(conn, "GET /about HTTP/1.1\r\nHost: h\r\n\r\n")
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != 200 {
		t.Errorf("after that: %v, %v", resp, err)
	}
}

// Before it is let in, a connection may send 16 KiB in all, also of what the format takes
// itself.
func TestBeforePostAcceptAllCounts(t *testing.T) {
	received := make(chan error, 1)
	door := acceptor(func(sess tp.PreSession) *tp.Rerror {
		received <- sess.Receive(socket.NewPacket(socket.WithBody(new([]byte))))
		return tp.NewRerror(403, "nobody is let in", "")
	})
	server, _ := newPeer(tp.PeerConfig{}, door)
	web := tptest.Serve(t, server, httproto.NewProtoFunc())
	lines := listen(t, server, jsonproto.NewProtoFunc())
	const options = "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"
	put := "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4000\r\n\r\n" + strings.Repeat("x", 4000)
	chunks := "PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nFA0\r\n" + strings.Repeat("x", 4000) + "\r\n0\r\n\r\n"
	const get = "GET /about HTTP/1.1\r\nHost: h\r\n\r\n"
	for _, c := range []struct {
		name, addr, send, last string
		most                   int // times that it may be sent
	}{
		{"OPTIONS", web, options, get, (16<<10 - len(get)) / len(options)},
		{"PUT", web, put, get, 4},
		{"PUT in chunks", web, chunks, get, 4},
		{"empty lines", lines, "\n", "{}\n", 16<<10 - 3},
	} {
		for _, many := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s many=%v", c.name, many), func(t *testing.T) {
				times := c.most
				if many {
					times++
				}
				conn, err := net.Dial("tcp", c.addr)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(bound))
				_, _ = io.WriteString(conn, strings.Repeat(c.send, times)+c.last)
				err = <-received
				if many && !errors.Is(err, socket.ErrExceedPacketSizeLimit) || !many && err != nil {
					t.Errorf("%d times: %v", times, err)
				}
			})
		}
	}
}

// acceptor is a plugin with one hook.
type acceptor func(tp.PreSession) *tp.Rerror

func (acceptor) Name() string { return "acceptor" }

func (a acceptor) PostAccept(sess tp.PreSession) *tp.Rerror { return a(sess) }

// answers is a plugin that counts the replies that were queued, or wait for their turn.
type answers struct{ n atomic.Int32 }

func (*answers) Name() string { return "answers" }

func (a *answers) PostWriteReply(tp.WriteCtx) *tp.Rerror {
	a.n.Add(1)
	return nil
}

// heap returns how many bytes are in use.
func heap() int {
	runtime.GC()
	runtime.GC() // what was pooled goes the second time
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
