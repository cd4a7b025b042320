package tp_test

import (
	"encoding/json"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		cfg   *tp.PeerConfig
		texts []string // of the error; none: it is valid
	}{
		{"zero", &tp.PeerConfig{}, nil},
		{"everything off", &tp.PeerConfig{
			DefaultReadTimeout: -1, DefaultWriteTimeout: -1, SlowCometDuration: -1, DefaultDialTimeout: -1, DefaultPullTimeout: -1,
			CloseTimeout: -1, FrameTimeout: -1, AcceptTimeout: -1, MaxSessionHandlers: -1, MaxHandlers: -1, MaxSessionHandlerBytes: -1, MaxHandlerBytes: -1, MaxPacketRate: -1,
		}, nil},
		{"limits", &tp.PeerConfig{UriSizeLimit: 1, MetaSizeLimit: 1024, AllowedFilters: []string{"g", "0x05", "200", "g"}}, nil},
		{"no limits", &tp.PeerConfig{UriSizeLimit: -1, MetaSizeLimit: -1, AllowedFilters: []string{}}, nil},
		{"no filters", &tp.PeerConfig{AllowedFilters: []string{"none"}}, nil},
		{"small meta", &tp.PeerConfig{MetaSizeLimit: 1023}, []string{"PeerConfig.MetaSizeLimit = 1023", "at least 1024"}},
		{"filter by name", &tp.PeerConfig{AllowedFilters: []string{"g", "gzip"}}, []string{`PeerConfig.AllowedFilters[1] = "gzip"`, `"g" for gzip`}},
		{"filter 256", &tp.PeerConfig{AllowedFilters: []string{"256"}}, []string{`PeerConfig.AllowedFilters[0] = "256"`, "up to 255"}},
		{"empty filter", &tp.PeerConfig{AllowedFilters: []string{""}}, []string{`PeerConfig.AllowedFilters[0] = ""`}},
		{"none and one", &tp.PeerConfig{AllowedFilters: []string{"none", "g"}}, []string{`PeerConfig.AllowedFilters[0] = "none"`, "no other"}},
		{"addresses", &tp.PeerConfig{ListenAddrs: []string{":0", "[::1]:80", "localhost:http"}}, nil},
		{"nil", nil, []string{"the config is nil", "pass &tp.PeerConfig{}"}},
		{"no key", &tp.PeerConfig{TlsCertFile: "x"}, []string{"PeerConfig.TlsCertFile and TlsKeyFile", "set both or none"}},
		{"no cert", &tp.PeerConfig{TlsKeyFile: "x"}, []string{"PeerConfig.TlsCertFile and TlsKeyFile", "set both or none"}},
		{"client CA without cert", &tp.PeerConfig{TlsClientCaFile: "x", TlsRootCaFile: "x"}, []string{"PeerConfig.TlsClientCaFile needs TlsCertFile"}},
		{"root CA alone", &tp.PeerConfig{TlsRootCaFile: "x"}, nil},
		{"codec", &tp.PeerConfig{DefaultBodyCodec: "morse"}, []string{"PeerConfig.DefaultBodyCodec", `"morse"`, "codec.Reg"}},
		{"address", &tp.PeerConfig{ListenAddrs: []string{":0", "localhost"}}, []string{"PeerConfig.ListenAddrs[1]", `"localhost"`, `"host:port"`}},
		{"write queue", &tp.PeerConfig{WriteQueueLimit: -1}, []string{"PeerConfig.WriteQueueLimit = -1", "cannot be negative"}},
		{"push queue", &tp.PeerConfig{PushQueueLimit: -5}, []string{"PeerConfig.PushQueueLimit = -5", "cannot be negative"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.cfg.Validate()
			if len(test.texts) == 0 {
				if err != nil {
					t.Errorf("got %v, want it to be valid", err)
				}
				return
			}
			if err == nil {
				t.Fatalf("got no error, want one with %q", test.texts)
			}
			for _, text := range test.texts {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("got %v, want %q in it", err, text)
				}
			}
			wantPanic(t, func() { tp.NewPeer(test.cfg) }, test.texts...)
		})
	}
}

// The caller's config is neither changed nor looked at again.
func TestConfigIsCopied(t *testing.T) {
	t.Parallel()
	cfg := tp.PeerConfig{ListenAddrs: []string{"127.0.0.1:0"}, Logger: new(logBook)}
	before := cfg
	peer := tp.NewPeer(&cfg)
	if !reflect.DeepEqual(cfg, before) {
		t.Errorf("NewPeer changed the config to %+v", cfg)
	}
	cfg.ListenAddrs[0] = "nonsense"
	ended := make(chan error, 1)
	go func() { ended <- peer.Listen() }()
	eventually(t, "it listens", func() bool { return len(peer.Addrs()) == 1 })
	if err := peer.Close(); err != nil {
		t.Error(err)
	}
	receive(t, ended)
}

func TestConfigJSON(t *testing.T) {
	t.Parallel()
	full := filledConfig(t)
	text, err := json.Marshal(full)
	if err != nil {
		t.Fatal(err)
	}
	if want := `"default_read_timeout":"5m0s"`; !strings.Contains(string(text), want) {
		t.Errorf("got %s, want %s in it", text, want)
	}
	var back tp.PeerConfig
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back, full) {
		t.Errorf("there and back:\n got %+v\nwant %+v", back, full)
	}
	// A value and a pointer are written alike, also inside of something else.
	inside, err := json.Marshal(map[string]interface{}{"v": full, "p": &full})
	if err != nil || strings.Count(string(inside), string(text)) != 2 {
		t.Errorf("got %s, %v", inside, err)
	}

	for _, test := range []struct {
		text string
		want time.Duration
		fail string
	}{
		{`"5m"`, 5 * time.Minute, ""},
		{`"1h2m3.5s"`, time.Hour + 2*time.Minute + 3500*time.Millisecond, ""},
		{`"500ms"`, 500 * time.Millisecond, ""},
		{`"-1ns"`, -1, ""},
		{`"0"`, 0, ""},
		{`300000000000`, 5 * time.Minute, ""}, // more than an int32: the original made -647 ms of it
		{`-1`, -1, ""},
		{`null`, 7, ""}, // as everywhere in JSON: no change
		{`"five"`, 7, "five"},
		{`"5"`, 7, "unit"},
		{`1.5`, 7, "1.5"},
		{`true`, 7, "bool"},
	} {
		cfg := tp.PeerConfig{DefaultReadTimeout: 7, CountTime: true}
		err := json.Unmarshal([]byte(`{"default_read_timeout":`+test.text+`}`), &cfg)
		if test.fail != "" {
			if err == nil || !strings.Contains(err.Error(), test.fail) {
				t.Errorf("%s: got %v, want an error with %q", test.text, err, test.fail)
			}
			continue
		}
		if err != nil || cfg.DefaultReadTimeout != test.want || !cfg.CountTime {
			t.Errorf("%s: got %v, %v; want %v and the rest unchanged", test.text, cfg.DefaultReadTimeout, err, test.want)
		}
	}
}

// filledConfig returns a config in which every field differs from zero, so
// that one which is forgotten is seen.
func filledConfig(t *testing.T) tp.PeerConfig {
	t.Helper()
	var cfg tp.PeerConfig
	v := reflect.ValueOf(&cfg).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.String:
			f.SetString(v.Type().Field(i).Name)
		case reflect.Bool:
			f.SetBool(true)
		case reflect.Int64: // durations
			f.SetInt(int64(5*time.Minute) + int64(i)*int64(time.Millisecond))
		case reflect.Int:
			f.SetInt(int64(i))
		case reflect.Uint32:
			f.SetUint(uint64(i))
		case reflect.Slice:
			f.Set(reflect.ValueOf([]string{"a:1", "b:2"}))
		case reflect.Interface, reflect.Func: // the Logger is no text
		default:
			t.Fatalf("PeerConfig.%s is a %s: teach the test", v.Type().Field(i).Name, f.Kind())
		}
	}
	cfg.DefaultReadTimeout = 5 * time.Minute
	return cfg
}

// Every field can be named in a file, in the same way in every format.
func TestConfigTags(t *testing.T) {
	t.Parallel()
	typ := reflect.TypeFor[tp.PeerConfig]()
	seen := make(map[string]bool)
	for i := range typ.NumField() {
		f := typ.Field(i)
		yaml, json, ini := f.Tag.Get("yaml"), f.Tag.Get("json"), f.Tag.Get("ini")
		if yaml == "" || yaml != json || yaml != ini {
			t.Errorf("%s is %q in YAML, %q in JSON, %q in INI", f.Name, yaml, json, ini)
		}
		if kind := f.Type.Kind(); kind == reflect.Interface || kind == reflect.Func {
			continue // no file has it
		}
		if seen[yaml] || f.Tag.Get("comment") == "" || strings.ToLower(yaml) != yaml {
			t.Errorf("%s: name %q, comment %q", f.Name, yaml, f.Tag.Get("comment"))
		}
		seen[yaml] = true
	}
}

// A peer that is to log nothing logs nothing about its exchanges, good or
// slow.
func TestExchangesAreNotLoggedUnlessAsked(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		cfg    tp.PeerConfig
		has    []string // in each of the four lines
		hasNot []string
		level  string
	}{
		{"nothing", tp.PeerConfig{}, nil, nil, ""},
		{"slow alarm that is not reached", tp.PeerConfig{SlowCometDuration: time.Hour}, nil, nil, ""},
		{"PrintBody", tp.PeerConfig{PrintBody: true}, []string{" status=ok", "={size=", " codec=115 ", `body=BODY`, `meta="k=v`}, []string{"cost=", "slow"}, "INFO "},
		{"CountTime", tp.PeerConfig{CountTime: true}, []string{" status=ok cost="}, []string{"BODY", "size=", "slow"}, "INFO "},
		{"both", tp.PeerConfig{CountTime: true, PrintBody: true}, []string{" cost=", "body=BODY"}, []string{"slow"}, "INFO "},
		{"SlowCometDuration", tp.PeerConfig{SlowCometDuration: 1}, []string{"slow: ", " cost="}, []string{"BODY"}, "WARN "},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var srvBook, cliBook logBook
			srvCfg, cliCfg := test.cfg, test.cfg
			srvCfg.Logger, cliCfg.Logger = &srvBook, &cliBook
			srv := newPeer(t, srvCfg)
			tp.RegPull(srv.PullRouter, "pull", func(ctx tp.PullCtx, args *string) (string, *tp.Rerror) {
				ctx.SetMeta("k", "v")
				return *args, nil
			})
			handled := make(chan struct{}, 1)
			tp.RegPush(srv.PushRouter, "push", func(tp.PushCtx, *string) { handled <- struct{}{} })
			cli := newPeer(t, cliCfg)
			sess := dial(t, cli, serve(t, srv))
			body := "BODY" + strings.Repeat("x", 5000) + "END"
			noRerror(t, sess.Pull("/pull?q", body, new(string), tp.WithBodyCodec('s'), tp.WithAddMeta("k", "v")).Rerror())
			noRerror(t, sess.Push("/push?q", body, tp.WithBodyCodec('s'), tp.WithAddMeta("k", "v")))
			receive(t, handled)
			if err := cli.Close(); err != nil { // the lines of handlers come after the replies
				t.Error(err)
			}
			if err := srv.Close(); err != nil {
				t.Error(err)
			}
			if test.level == "" {
				if got := srvBook.String() + cliBook.String(); got != "" {
					t.Errorf("the log says %q", got)
				}
				return
			}
			for _, want := range []struct {
				book      *logBook
				kind, uri string
			}{
				{&cliBook, "pulled", "/pull"},
				{&cliBook, "pushed", "/push"},
				{&srvBook, "handled pull", "/pull"},
				{&srvBook, "handled push", "/push"},
			} {
				line := lineWith(want.book.String(), want.kind)
				for _, text := range append(test.has, `uri="`+want.uri+`?q" seq=`) {
					if !strings.Contains(line, text) {
						t.Errorf("%s: no %q in %.300q", want.kind, text, line)
					}
				}
				for _, text := range append(test.hasNot, "END") { // the body is cut
					if strings.Contains(line, text) {
						t.Errorf("%s: there is %q in %.300q", want.kind, text, line)
					}
				}
				if !strings.HasPrefix(line, test.level) {
					t.Errorf("%s: %.20q is no line of level %s", want.kind, line, test.level)
				}
				if test.cfg.PrintBody && !strings.Contains(line, "BODY"+strings.Repeat("x", 4092)+"... (5007 bytes in all)") {
					t.Errorf("%s: the body is not cut at 4 KiB", want.kind)
				}
			}
		})
	}
}

func lineWith(text, part string) string {
	for _, line := range strings.Split(text, "\n") {
		if strings.Contains(line, part) {
			return line
		}
	}
	return ""
}

// The line of an exchange that failed has its error.
func TestExchangeLogHasTheStatus(t *testing.T) {
	t.Parallel()
	var srvBook, cliBook logBook
	srv := newPeer(t, tp.PeerConfig{CountTime: true, Logger: &srvBook})
	cli := newPeer(t, tp.PeerConfig{CountTime: true, Logger: &cliBook})
	sess := dial(t, cli, serve(t, srv))
	wantCode(t, sess.Pull("/nowhere", 1, nil).Rerror(), tp.CodeNotFound, "")
	for _, book := range []*logBook{&srvBook, &cliBook} {
		eventually(t, "the status is logged", func() bool {
			return strings.Contains(book.String(), `uri="/nowhere" seq=0 status={"code":404,`)
		})
	}
}

// What is wrong in a call is an error or a panic that says what to change.
func TestBadCalls(t *testing.T) {
	t.Parallel()
	srv := newPeer(t, tp.PeerConfig{})
	echo(srv)
	cli := newPeer(t, tp.PeerConfig{})
	sess := dial(t, cli, serve(t, srv))

	_, rerr := cli.Dial("")
	wantCode(t, rerr, tp.CodeDialFailed, `the address is empty: name one, such as "127.0.0.1:9090"`)
	_, rerr = cli.Dial("no port")
	wantCode(t, rerr, tp.CodeDialFailed, "no port")
	if err := cli.Listen(); err == nil || !strings.Contains(err.Error(), "PeerConfig.ListenAddrs is empty: name an address") {
		t.Errorf("Listen: %v", err)
	}
	wantPanic(t, func() { cli.ServeConn(nil) }, "ServeConn: the conn is nil")
	wantPanic(t, func() { _ = cli.ServeListener(nil) }, "ServeListener: the listener is nil")
	wantPanic(t, func() { sess.GoPull("/echo", 1, nil, nil) }, "GoPull: done is nil", "or use Pull")
	wantCode(t, sess.Pull("/echo", 1, nil, tp.WithXferPipe(0xee)).Rerror(), tp.CodeBadPacket, "no filter has id 238")
	wantPanic(t, func() { tp.SetGlobalBodyCodec(0xee) }, "238")

	wantCode(t, sess.Pull("", 1, nil).Rerror(), tp.CodeBadPacket, "the URI of the pull is empty")
	wantCode(t, sess.Push("", 1), tp.CodeBadPacket, "the URI of the push is empty")
	for _, rerr := range []*tp.Rerror{
		sess.Pull("/echo", 1, nil, tp.WithBodyCodec(0xee)).Rerror(),
		sess.Push("/echo", 1, tp.WithBodyCodec(0xee)),
	} {
		wantCode(t, rerr, tp.CodeBadPacket, "no codec has id 238: register it with codec.Reg")
	}
	for _, rerr := range []*tp.Rerror{
		sess.Pull("/echo", make(chan int), nil).Rerror(),
		sess.Push("/echo", make(chan int)),
	} {
		wantCode(t, rerr, tp.CodeBadPacket, "encode a body of type chan int")
	}
	for _, rerr := range []*tp.Rerror{
		sess.Pull("/echo", make([]byte, 17<<20), nil).Rerror(),
		sess.Push("/echo", make([]byte, 17<<20)),
	} {
		wantCode(t, rerr, tp.CodeBadPacket, "the limit is 16777216 (raise it with")
	}
	wantCode(t, sess.Pull("/echo", []byte("x"), 5).Rerror(), tp.CodeBadPacket, "of type int: pass a pointer")
	noRerror(t, sess.Pull("/echo", []byte("x"), nil, nil).Rerror()) // a nil setting is none
	if !sess.Health() {
		t.Error("a wrong call has ended the session")
	}
}

// ServeConn works on any conn, here without a network.
func TestServeConnOnAPipe(t *testing.T) {
	t.Parallel()
	srv, cli := newPeer(t, tp.PeerConfig{}), newPeer(t, tp.PeerConfig{})
	echo(srv)
	a, b := net.Pipe()
	srv.ServeConn(a)
	noRerror(t, cli.ServeConn(b).Pull("/echo", []byte("x"), nil).Rerror())
}
