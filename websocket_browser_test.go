//go:build unix

package tp_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/internal/counterpart"
	"github.com/henrylee2cn/teleport/transport/websocket"
)

// browserPatience is how long the page may take, the start of the browser included.
const browserPatience = 90 * time.Second

// pageResults is what a page has to say of each test.
var pageResults = map[string]string{
	"golden":         "ok",
	"split":          "ok",
	"truncated":      "ok",
	"refused":        "ok",
	"pull":           "1006 json /math/sum null 4",
	"codecs":         "ok",
	"many":           "ok",
	"error":          `1234 refused: "x" of "/fail"`,
	"not found":      "404 Not Found: no handler of /nowhere",
	"bad body":       "400 Bad Packet: the body: ",
	"cannot be sent": "400 Bad Packet: the body: ",
	"too long":       "400 Bad Packet: 1042 bytes, the limit is 1000; 4000 2031 bytes, the limit is 1000",
	"timeout":        "408 Timeout: ",
	"abort":          "499 Canceled: ",
	"push":           "ok",
	"pulled": `/page/title: "/page/title: teleport.js under test"; /page/later: {"ms":10}; /page/refuse: 1234 no not today; ` +
		`/page/break: 500 Internal Server Error the handler failed; /page/nowhere: 404 Not Found ; /page/huge: 400 Bad Packet 20971554 bytes, the limit is 16777216`,
	"handlers that throw nothing": `/page/nothing: 500 Internal Server Error the handler failed; /page/empty: 500 Internal Server Error the handler failed`,
	"names of objects":            "ok",
	"malformed":                   "4000 not the packet format 'fast'; 4000 a packet of type 9; 4000 a frame of 0 bytes",
	"errors of any shape":         "400 400 0 7 400",
	"closed by nobody else":       "1000 not in 10 ms; 102 Connection Closed: not in 10 ms",
	"waits for long":              "1000",
	"tiny messages":               "ok",
	"no address":                  "105 Dial Failed: ",
	"foreign origin":              "105 Dial Failed: ws://127.0.0.1:",
	"nobody there":                "105 Dial Failed: ws://127.0.0.1:1/tp: status 1006",
	"given up":                    "105 Dial Failed: canceled",
	"close":                       "1000 102 Connection Closed: ",
	"close at once":               "1000",
	"first push":                  `its meta is ""`,
	"listener":                    "ok",
	"shutdown":                    "1000 102 Connection Closed: ",
}

// A page in a real browser has a session: it pulls, pushes, is pushed to and pulled from,
// gets errors, gives up, and is drained by a server that shuts down.
func TestWebSocketBrowser(t *testing.T) {
	chromium := counterpart.Find(t, "chromium", "chromium", "chromium-browser", "google-chrome")
	log := new(logBook)
	srv := newPeer(t, tp.PeerConfig{Logger: log, KeepAliveInterval: 5 * time.Second, KeepAliveTimeout: time.Second})
	gaveUp := pageHandlers(srv)
	lis, err := websocket.NewListener(nil)
	if err != nil {
		t.Fatal(err)
	}
	serveListener(t, srv, lis)
	posted := make(chan map[string]any, 1)
	mux := http.NewServeMux()
	mux.Handle("/tp", lis)
	mux.HandleFunc("/teleport.js", websocket.ServeScript)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, filepath.Join("transport", "websocket", "testdata", "browser.html"))
	})
	mux.HandleFunc("POST /results", func(_ http.ResponseWriter, r *http.Request) {
		var results map[string]any
		if err := json.NewDecoder(r.Body).Decode(&results); err != nil {
			t.Error(err)
		}
		posted <- results
	})
	end := make(chan struct{})
	defer close(end)
	mux.HandleFunc("/hostile", func(w http.ResponseWriter, r *http.Request) {
		ws, err := coder.Accept(w, r, &coder.AcceptOptions{Subprotocols: []string{"teleport"}})
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = ws.CloseNow() }()
		_, _, _ = ws.Read(t.Context())
		if bytes, _ := hex.DecodeString(r.FormValue("bytes")); len(bytes) > 0 {
			_ = ws.Write(t.Context(), coder.MessageBinary, bytes)
		}
		<-end
	})
	page, other := httptest.NewServer(mux), httptest.NewServer(mux) // two origins
	defer page.Close()
	defer other.Close()

	browse(t, chromium, page.URL+"/?other="+other.URL[strings.LastIndexByte(other.URL, ':')+1:])
	var got map[string]any
	select {
	case got = <-posted:
	case <-time.After(browserPatience):
		t.Fatalf("the page has posted nothing in %v; the log:\n%s", browserPatience, log)
	}
	for name, want := range pageResults {
		if text := fmt.Sprint(got[name]); text != want && (!strings.HasSuffix(want, ":") && !strings.HasSuffix(want, ": ") || !strings.HasPrefix(text, want)) {
			t.Errorf("%s: got %s\nwant %s", name, text, want)
		}
		delete(got, name)
	}
	for name, text := range got {
		t.Errorf("%s: %v, which is not expected", name, text)
	}
	for range 2 { // the page gave up twice, and the handlers learned it
		receive(t, gaveUp)
	}
	if log.contains("ERROR") {
		t.Errorf("the log is not clean:\n%s", log)
	}
}

// pageHandlers registers what the page calls. The channel has each handler whose caller
// gave up.
func pageHandlers(srv *tp.Peer) <-chan int {
	echo(srv)
	tp.RegPull(srv.PullRouter.Group("math"), "sum", func(ctx tp.PullCtx, all *[]int) (int, *tp.Rerror) {
		sum := 0
		for _, n := range *all {
			sum += n
		}
		if ctx.Query().Get("plus") == "1000" && string(ctx.GetMeta("who")) == "Ännä & 1+1" {
			sum += 1000
		}
		return sum, nil
	})
	tp.RegPull(srv.PullRouter, "mirror", func(ctx tp.PullCtx, args *json.RawMessage) (json.RawMessage, *tp.Rerror) {
		for _, name := range []string{"__proto__", "constructor"} {
			ctx.SetMeta(name, string(ctx.GetMeta(name)))
		}
		return *args, nil
	})
	tp.RegPull(srv.PullRouter, "nothing", func(tp.PullCtx, *any) (any, *tp.Rerror) { return nil, nil })
	tp.RegPull(srv.PullRouter, "fail", func(ctx tp.PullCtx, s *string) (int, *tp.Rerror) {
		return 0, tp.NewRerror(1234, "refused", fmt.Sprintf("%q of %q", *s, ctx.Path()))
	})
	tp.RegPull(srv.PullRouter, "long", func(_ tp.PullCtx, n *int) (string, *tp.Rerror) { return strings.Repeat("x", *n), nil })
	tp.RegPull(srv.PullRouter, "late", func(_ tp.PullCtx, ms *int) (int, *tp.Rerror) {
		time.Sleep(time.Duration(*ms) * time.Millisecond)
		return *ms, nil
	})
	gaveUp := make(chan int, 10)
	tp.RegPull(srv.PullRouter, "hang", func(ctx tp.PullCtx, n *int) (int, *tp.Rerror) {
		<-ctx.Context().Done()
		gaveUp <- *n
		return 0, nil
	})
	tp.RegPush(srv.PushRouter, "say", func(ctx tp.PushCtx, n *int) {
		_ = ctx.Session().Push("/heard?from=server", *n)
		if *n == 0 {
			_ = ctx.Session().Push("/unheard", *n)
		}
	})
	tp.RegPull(srv.PullRouter.Group("pull"), "back", func(ctx tp.PullCtx, paths *[]string) (string, *tp.Rerror) {
		var all []string
		for _, path := range *paths {
			args := any(path)
			if path == "/page/later" {
				args = 10
			}
			got, rerr := tp.Pull[json.RawMessage](ctx.Session(), path, args)
			if rerr != nil {
				all = append(all, fmt.Sprintf("%s: %d %s %s", path, rerr.Code, rerr.Message, rerr.Detail))
				continue
			}
			all = append(all, fmt.Sprintf("%s: %s", path, got))
		}
		return strings.Join(all, "; "), nil
	})
	tp.RegPull(srv.PullRouter.Group("tell"), "all", func(tp.PullCtx, *any) (any, *tp.Rerror) {
		srv.RangeSession(func(sess tp.Session) bool { return sess.Push("/all", 1) == nil })
		return nil, nil
	})
	tp.RegPull(srv.PullRouter, "shutdown", func(tp.PullCtx, *any) (any, *tp.Rerror) {
		go func() { _ = srv.Close() }() // the test's end waits for it
		return nil, nil
	})
	return gaveUp
}

// browse shows a page in a browser without a window until the test's end. Its profile and
// its processes are gone then.
func browse(t *testing.T, chromium, url string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "teleport-chromium-")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{
		"--headless", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run", "--no-default-browser-check",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
		"--disable-breakpad", "--disable-crash-reporter", "--no-proxy-server", "--enable-logging=stderr",
		"--user-data-dir=" + dir,
	}
	if os.Geteuid() == 0 { // its sandbox refuses root
		args = append(args, "--no-sandbox")
	}
	cmd := exec.Command(chromium, append(args, url)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_CACHE_HOME="+dir, "TMPDIR="+dir)
	out, err := os.Create(filepath.Join(dir, "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the browser says:\n%s", tail(out.Name(), 8<<10))
		}
		eventually(t, "no process of the browser is left", func() bool {
			return syscall.Kill(-cmd.Process.Pid, 0) == syscall.ESRCH
		})
		eventually(t, "the profile is removed", func() bool { return os.RemoveAll(dir) == nil })
	})
}

// tail returns the last n bytes of a file.
func tail(name string, n int64) string {
	f, err := os.Open(name)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = f.Close() }()
	if size, err := f.Seek(0, io.SeekEnd); err == nil {
		_, _ = f.Seek(max(0, size-n), io.SeekStart)
	}
	b, _ := io.ReadAll(f)
	return string(b)
}
