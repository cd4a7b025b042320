package binder_test

import (
	"errors"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-playground/validator/v10"
	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/binder"
	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/tptest"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

func quietPeer(plugins ...tp.Plugin) *tp.Peer {
	quiet, _ := tp.NewLogger(nil, "OFF")
	return tp.NewPeer(&tp.PeerConfig{Logger: quiet}, plugins...)
}

// serve returns a session with a peer that has a handler of pulls "/x" with args A, which
// keeps what it gets in got.
func serve[A any](t testing.TB, cfg binder.Config) (sess tp.Session, got *A) {
	t.Helper()
	got = new(A)
	server := quietPeer(binder.New(cfg))
	tp.RegPull(server.PullRouter, "x", func(_ tp.PullCtx, args *A) ([]byte, *tp.Rerror) {
		*got = *args
		return nil, nil
	})
	sess, _ = tptest.Pair(t, quietPeer(), server)
	return sess, got
}

func meta(pairs ...string) socket.PacketSetting {
	return func(p *socket.Packet) {
		for i := 0; i < len(pairs); i += 2 {
			p.Meta().Add(pairs[i], pairs[i+1])
		}
	}
}

func wantRerror(t testing.TB, rerr *tp.Rerror, code int32, message, detail string) {
	t.Helper()
	if rerr == nil || rerr.Code != code || rerr.Message != message || rerr.Detail != detail {
		t.Errorf("got  %v\nwant %d, %q, %q", rerr, code, message, detail)
	}
}

type level int

func (l *level) UnmarshalText(text []byte) error {
	switch string(text) {
	case "low":
		*l = 1
	case "high":
		*l = 2
	default:
		return errors.New("neither low nor high")
	}
	return nil
}

type paging struct {
	Page int `param:"query:page" default:"1"`
	Size int `param:"query" default:"20"`
}

// User is embedded by a pointer, so that it must be exported.
type User struct {
	UserName string `param:"meta"`
}

type all struct {
	paging
	*User
	Body     string
	Text     string         `param:"query:text"`
	Bool     bool           `param:"query:bool"`
	Int8     int8           `param:"query:int8"`
	Uint     uint           `param:"query:uint"`
	Float    float32        `param:"query:float"`
	Wait     time.Duration  `param:"query:wait" default:"1m"`
	Bytes    []byte         `param:"meta:bytes"`
	Level    level          `param:"query:level"`
	Levels   []level        `param:"query:levels"`
	IP       *netip.Addr    `param:"meta:ip"`
	Pointer  *int           `param:"query:pointer"`
	Ints     []int          `param:"query:ints" default:"7"`
	Texts    []string       `param:"meta:texts"`
	BodySize int            `default:"9"`
	Ignored  map[string]int `param:"-"`
}

func TestFill(t *testing.T) {
	sess, got := serve[all](t, binder.Config{})
	one := 1
	ip := netip.MustParseAddr("10.0.0.1")
	for name, c := range map[string]struct {
		uri  string
		meta []string
		body map[string]any
		want all
	}{
		"nothing": {
			uri:  "/x",
			want: all{paging: paging{1, 20}, User: &User{}, Wait: time.Minute, Ints: []int{7}, BodySize: 9},
		},
		"all": {
			uri: "/x?page=2&size=3&text=a%20b&text=c&bool=true&int8=-128&uint=18446744073709551615&float=1.5&wait=2s&level=high" +
				"&levels=low&levels=high&pointer=1&ints=1&ints=2&&%zz=1&other=2",
			meta: []string{"user_name", "ann", "bytes", "\x00\xff", "ip", "10.0.0.1", "texts", "a", "texts", ""},
			body: map[string]any{"Body": "body", "BodySize": 1, "Ignored": map[string]int{"a": 1}},
			want: all{
				paging: paging{2, 3}, User: &User{"ann"}, Body: "body", Text: "a b", Bool: true, Int8: -128, Uint: 18446744073709551615, Float: 1.5,
				Wait: 2 * time.Second, Bytes: []byte("\x00\xff"), Level: 2, Levels: []level{1, 2}, IP: &ip, Pointer: &one, Ints: []int{1, 2},
				Texts: []string{"a", ""}, BodySize: 1, Ignored: map[string]int{"a": 1},
			},
		},
		// What comes from elsewhere is never taken from the body.
		"forged": {
			uri: "/x",
			body: map[string]any{
				"Body": "body", "UserName": "root", "Page": 7, "Text": "x", "Bytes": "eA==", "Pointer": 1, "Ints": []int{1, 2}, "Wait": 1, "IP": "1.1.1.1",
			},
			want: all{paging: paging{1, 20}, User: &User{}, Body: "body", Wait: time.Minute, Ints: []int{7}, BodySize: 9},
		},
		"zero is a value": {
			uri:  "/x?page=0&size=0&wait=0s&pointer=1",
			want: all{User: &User{}, Pointer: &one, Ints: []int{7}, BodySize: 9},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if rerr := sess.Pull(c.uri, c.body, nil, meta(c.meta...)).Rerror(); rerr != nil {
				t.Fatal(rerr)
			}
			if !reflect.DeepEqual(*got, c.want) {
				t.Errorf("got  %+v\nwant %+v", *got, c.want)
			}
		})
	}
	for query, detail := range map[string]string{
		"int8=128":                           `query "int8": is no int8`,
		"int8=":                              `query "int8": is no int8`,
		"uint=-1&bool=x":                     `query "bool": is no bool; query "uint": is no uint`,
		"float=x":                            `query "float": is no float32`,
		"wait=5":                             `query "wait": is no time.Duration`,
		"level=middle":                       `query "level": is no binder_test.level`,
		"levels=low&levels=x":                `query "levels": is no []binder_test.level`,
		"pointer=x":                          `query "pointer": is no *int`,
		"ints=1&ints=2147483648000000000000": `query "ints": is no []int`,
	} {
		wantRerror(t, sess.Pull("/x?"+query, nil, nil).Rerror(), tp.CodeBadPacket, "Bad Packet", detail)
	}
	wantRerror(t, sess.Pull("/x", nil, nil, meta("ip", "secret")).Rerror(), tp.CodeBadPacket, "Bad Packet", `meta "ip": is no *netip.Addr`)
}

type item struct {
	Price int `json:"price,omitempty" validate:"gt=0"`
}

type order struct {
	Page    int    `param:"query:page,required" validate:"min=1,max=1000"`
	User    string `param:"meta:user,required"`
	Kind    string `validate:"omitempty,oneof=a b"`
	Count   int    `param:"required"`
	Contact struct {
		Mail string `json:"mail" validate:"omitempty,email"`
	} `json:"contact"`
	Items []item    `json:"items" validate:"dive"`
	From  time.Time `param:"query:from"`
	To    time.Time `param:"query:to" validate:"omitempty,gtfield=From"`
}

func TestValidate(t *testing.T) {
	sess, got := serve[order](t, binder.Config{})
	good := map[string]any{"Count": 1, "Kind": "a", "contact": map[string]any{"mail": "a@b.de"}, "items": []item{{1}, {2}}}
	if rerr := sess.Pull("/x?page=7&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z", good, nil, meta("user", "")).Rerror(); rerr != nil || got.Page != 7 || got.To.Day() != 2 {
		t.Errorf("got %+v, %v", got, rerr)
	}
	for _, c := range []struct {
		uri, user, detail string
		body              map[string]any
	}{
		{"/x", "", `query "page": is missing; meta "user": is missing; body "count": is missing`, nil},
		{"/x?page=0", "u", `query "page": fails min=1`, good},
		{"/x?page=1001", "u", `query "page": fails max=1000`, good},
		{"/x?page=1&from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "u", `query "to": fails gtfield=From`, good},
		{
			"/x?page=1", "u", `body "Kind": fails oneof=a b; body "contact.mail": fails email; body "items[1].price": fails gt=0`,
			map[string]any{"Count": 1, "Kind": "c", "contact": map[string]any{"mail": "secret"}, "items": []item{{1}, {-1}}},
		},
		{"/x?page=1", "u", tenItems(), map[string]any{"Count": 1, "items": make([]item, 13)}},
	} {
		settings := []socket.PacketSetting{nil}
		if c.user != "" {
			settings[0] = meta("user", c.user)
		}
		wantRerror(t, sess.Pull(c.uri, c.body, nil, settings...).Rerror(), tp.CodeBadPacket, "Bad Packet", c.detail)
	}
}

func tenItems() (detail string) {
	for i := range 10 {
		detail += `body "items[` + strconv.Itoa(i) + `].price": fails gt=0; `
	}
	return detail + "and 3 more"
}

// The tags of teleport v3 and erpc.
type classic struct {
	Id    int      `param:"<meta:id><required><range:1:10>"`
	Token string   `param:"<meta:token><nonzero><rerr:100001:who are you>"`
	Name  string   `param:"<len:3:5><regexp:^[a-c>]+$><desc:its name>"`
	Score float64  `param:"<query><range::0.5><stat:100002:no such score>"`
	Page  int      `param:"<query:p><default:3>"`
	List  []string `param:"<query:l><len:0:2>"`
	Any   string   `param:"-"`
}

func TestClassicTags(t *testing.T) {
	sess, got := serve[classic](t, binder.Config{})
	good := map[string]any{"Name": "a>b"}
	if rerr := sess.Pull("/x?score=0.5&l=a&l=b", good, nil, meta("id", "10", "token", "x")).Rerror(); rerr != nil {
		t.Fatal(rerr)
	}
	if want := (classic{10, "x", "a>b", 0.5, 3, []string{"a", "b"}, ""}); !reflect.DeepEqual(*got, want) {
		t.Errorf("got %+v, want %+v", *got, want)
	}
	for _, c := range []struct {
		uri             string
		body            map[string]any
		meta            []string
		code            int32
		message, detail string
	}{
		{"/x", good, []string{"token", "x"}, 400, "Bad Packet", `meta "id": is missing`},
		{"/x", good, []string{"token", "x", "id", "11"}, 400, "Bad Packet", `meta "id": fails max=10`},
		{"/x", good, []string{"id", "1"}, 100001, "who are you", `meta "token": fails required`},
		{"/x?score=0.6", good, []string{"id", "1"}, 100001, "who are you", `meta "token": fails required; query "score": fails max=0.5`},
		{"/x?score=0.6", good, []string{"id", "0", "token", "x"}, 100002, "no such score", `meta "id": fails min=1; query "score": fails max=0.5`},
		{"/x?l=a&l=b&l=c", good, []string{"id", "1", "token", "x"}, 400, "Bad Packet", `query "l": fails max=2`},
		{"/x", map[string]any{"Name": "ab"}, []string{"id", "1", "token", "x"}, 400, "Bad Packet", `body "name": fails min=3`},
		{"/x", map[string]any{"Name": "äöü"}, []string{"id", "1", "token", "x"}, 400, "Bad Packet", `body "name": fails regexp`},
	} {
		wantRerror(t, sess.Pull(c.uri, c.body, nil, meta(c.meta...)).Rerror(), c.code, c.message, c.detail)
	}
}

func TestPushes(t *testing.T) {
	server := quietPeer()
	got := make(chan int, 10)
	tp.RegPush(server.PushRouter, "x", func(_ tp.PushCtx, args *struct {
		Page int `param:"query:page,required" validate:"max=5"`
	},
	) {
		got <- args.Page
	}, binder.New(binder.Config{})) // of one handler only
	sess, _ := tptest.Pair(t, quietPeer(), server)
	for _, uri := range []string{"/x", "/x?page=6", "/x?page=x", "/x?page=5"} {
		if rerr := sess.Push(uri, nil); rerr != nil {
			t.Fatal(rerr)
		}
	}
	select {
	case page := <-got:
		if page != 5 || len(got) != 0 || server.Stats().Refused["pushes"] != 3 {
			t.Errorf("got %d, and %d more; stats %+v", page, len(got), server.Stats())
		}
	case <-time.After(patience):
		t.Error("the push did not arrive")
	}
}

func TestConfig(t *testing.T) {
	type args struct {
		Even int    `param:"query:even" validate:"even"`
		Name string `json:"name" validate:"required"`
	}
	v := validator.New()
	if err := v.RegisterValidation("even", func(f validator.FieldLevel) bool { return f.Field().Int()%2 == 0 }); err != nil {
		t.Fatal(err)
	}
	var wrong []binder.FieldError
	sess, _ := serve[args](t, binder.Config{Validator: v, Rerror: func(w []binder.FieldError) *tp.Rerror {
		wrong = w
		if len(w) == 1 {
			return nil
		}
		return tp.NewRerror(1234, "mine")
	}})
	wantRerror(t, sess.Pull("/x?even=3", nil, nil).Rerror(), 1234, "mine", "")
	if want := []binder.FieldError{{Source: "query", Name: "even", Rule: "fails even"}, {Source: "body", Name: "Name", Rule: "fails required"}}; !reflect.DeepEqual(wrong, want) {
		t.Errorf("got %+v", wrong)
	}
	wantRerror(t, sess.Pull("/x?even=2", nil, nil).Rerror(), 400, "Bad Packet", `body "Name": fails required`) // nil is no error
	if rerr := sess.Pull("/x?even=2", map[string]string{"name": "n"}, nil).Rerror(); rerr != nil {
		t.Error(rerr)
	}
}

// Args that are no struct are left alone, and so are unknown paths.
func TestOtherArgs(t *testing.T) {
	server := quietPeer(binder.New(binder.Config{}))
	tp.RegPull(server.PullRouter, "int", func(_ tp.PullCtx, args *int) (int, *tp.Rerror) { return *args, nil })
	tp.RegPull(server.PullRouter, "time", func(_ tp.PullCtx, args *time.Time) (int, *tp.Rerror) { return args.Year(), nil })
	tp.RegPull(server.PullRouter, "bytes", func(_ tp.PullCtx, args *[]byte) (int, *tp.Rerror) { return len(*args), nil })
	server.PullRouter.SetUnknown(func(_ tp.UnknownPullCtx, body *[]byte) (interface{}, *tp.Rerror) { return len(*body), nil })
	sess, _ := tptest.Pair(t, quietPeer(), server)
	for uri, args := range map[string]any{"/int": 4, "/bytes": []byte("1234"), "/nowhere": []byte("1234")} {
		if n, rerr := tp.Pull[int](sess, uri, args); rerr != nil || n != 4 {
			t.Errorf("%s: got %d, %v", uri, n, rerr)
		}
	}
	if n, rerr := tp.Pull[int](sess, "/time", time.Unix(0, 0).UTC()); rerr != nil || n != 1970 {
		t.Errorf("got %d, %v", n, rerr)
	}
}

// A plugin that is added after its handlers reads the tags with the first exchange.
func TestAddedLater(t *testing.T) {
	server := quietPeer()
	tp.RegPull(server.PullRouter, "x", func(_ tp.PullCtx, args *paging) (int, *tp.Rerror) { return args.Size, nil })
	tp.RegPull(server.PullRouter, "bad", func(_ tp.PullCtx, _ *struct {
		X int `param:"quary:x"`
	},
	) (int, *tp.Rerror) {
		return 0, nil
	})
	if err := server.PluginContainer().Add(binder.New(binder.Config{})); err != nil {
		t.Fatal(err)
	}
	sess, _ := tptest.Pair(t, quietPeer(), server)
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			if n, rerr := tp.Pull[int](sess, "/x", nil); rerr != nil || n != 20 {
				t.Errorf("got %d, %v", n, rerr)
			}
		})
	}
	callers.Wait()
	if rerr := sess.Pull("/bad", nil, nil).Rerror(); rerr == nil || rerr.Code != tp.CodeInternalServerError || !strings.Contains(rerr.Detail, "quary") {
		t.Errorf("got %v", rerr)
	}
}

type recursive struct {
	Page int `param:"query:page"`
	Next *recursive
}

type tree struct {
	Name     string
	Children []tree           `validate:"dive"`
	Named    map[string]*tree `validate:"dive"`
	Deep     [][]*tree        `validate:"dive,dive"`
}

type lists []lists

func TestRecursive(t *testing.T) {
	if _, got := serve[struct{ Lists lists }](t, binder.Config{}); got.Lists != nil { // it is registered
		t.Error(got)
	}
	if _, got := serve[struct{ Tree tree }](t, binder.Config{}); got.Tree.Name != "" { // it is registered
		t.Error(got)
	}
	sess, got := serve[recursive](t, binder.Config{})
	if rerr := sess.Pull("/x?page=3", recursive{Next: &recursive{Page: 4}}, nil).Rerror(); rerr != nil || got.Page != 3 || got.Next.Page != 4 {
		t.Errorf("got %+v, %v", got, rerr)
	}
}

// refused fails unless registering args A panics with the text.
func refused[A any](t *testing.T, text string) {
	t.Helper()
	server := quietPeer(binder.New(binder.Config{}))
	defer server.Close()
	defer func() {
		t.Helper()
		if r, _ := recover().(string); !strings.Contains(r, text) || !strings.Contains(r, "handler /x") {
			t.Errorf("got  %q\nwant %q in it", r, text)
		}
	}()
	tp.RegPull(server.PullRouter, "x", func(tp.PullCtx, *A) (int, *tp.Rerror) { return 0, nil })
}

type withTag struct {
	X int `param:"query:x"`
}

type withBadTag struct {
	Y    int `validate:"evn"`
	More []withBadTag
}

func TestBadTags(t *testing.T) {
	refused[struct {
		X int `param:"quary:x"`
	}](t, `field X: tag param:\"quary:x\": \"quary:x\" is not known`)
	refused[struct {
		X int `param:"query:x,needed"`
	}](t, `\"needed\" is not known`)
	refused[struct {
		X map[string]string `param:"query:x"`
	}](t, "field X: a map[string]string cannot be filled")
	refused[struct {
		X [][]int `param:"query:x"`
	}](t, "cannot be filled")
	refused[struct {
		x int `param:"query:x"`
	}](t, "field x: it is not exported")
	refused[struct {
		X int `param:"query:x" default:"one"`
	}](t, `its default \"one\" is no int`)
	refused[struct {
		X int `param:"query:x,required" default:"1"`
	}](t, "its default is of no use")
	refused[struct {
		X int `validate:"evn"`
	}](t, "tag validate: Undefined validation function 'evn' on field 'X'")
	refused[struct {
		X []withBadTag `validate:"dive"`
	}](t, "tag validate: Undefined validation function 'evn' on field 'Y'")
	refused[struct {
		X map[string]*withBadTag `validate:"dive"`
	}](t, "tag validate: Undefined validation function 'evn' on field 'Y'")
	refused[struct {
		X *struct{ Next *withBadTag }
	}](t, "tag validate: Undefined validation function 'evn' on field 'Y'")
	refused[struct {
		X bool `param:"<range:1:2>"`
	}](t, "tag validate: Bad field type bool")
	refused[struct{ Y struct{ withTag } }](t, "field Y: it has a struct with a tag param")
	refused[struct{ Y map[string][]*withTag }](t, "field Y: it has a struct with a tag param")
	refused[struct {
		X int `param:"<query:x"`
	}](t, "the last '>' is missing")
	refused[struct {
		X int `param:"<swap:x>"`
	}](t, "no Swap")
	refused[struct {
		X int `param:"<query:x><meta:x>"`
	}](t, "from one place only")
	refused[struct {
		X int `param:"<length:1:2>"`
	}](t, `rule \"length:1:2\": it is not known`)
	refused[struct {
		X int `param:"<len:1>"`
	}](t, "it has two bounds")
	refused[struct {
		X int `param:"<len:a:b>"`
	}](t, `\"a\" is no number`)
	refused[struct {
		X string `param:"<regexp:(>"`
	}](t, "missing closing )")
	refused[struct {
		X int `param:"<regexp:x>"`
	}](t, "a int cannot be compared to a regexp")
	refused[struct {
		X int `param:"<rerr:x:y>"`
	}](t, "it has a code and a message")
}
