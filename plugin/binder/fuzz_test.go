package binder_test

import (
	"net/netip"
	"reflect"
	"testing"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/binder"
	"github.com/henrylee2cn/teleport/socket"
)

// readCtx is the context of a packet that came over no connection.
type readCtx struct {
	tp.ReadCtx
	in *socket.Packet
}

func (c readCtx) Input() *socket.Packet { return c.in }

// Whatever the query and the meta data are, a field that comes from there is filled, or
// named in an error: it never is what the body said.
func FuzzFill(f *testing.F) {
	p := binder.New(binder.Config{})
	f.Add("page=2&int8=-1&level=high&levels=low&wait=1s", "10.0.0.1")
	f.Add("page=&%zz&float=NaN&;&ints=1&ints=", "")
	f.Add("uint=18446744073709551616&bool=T&pointer=0x1", "::1%eth0")
	f.Fuzz(func(t *testing.T, query, ip string) {
		forged, other := 7777, netip.MustParseAddr("9.9.9.9")
		args := &all{
			paging: paging{7777, 7777}, User: &User{"forged"}, Text: "forged", Int8: 77, Uint: 7777, Float: 7777, Wait: 7777,
			Bytes: []byte("forged"), Level: 7777, Levels: []level{7777}, IP: &other, Pointer: &forged, Ints: []int{7777}, Texts: []string{"forged"},
		}
		in := socket.NewPacket(socket.WithUri("/x?"+query), socket.WithBody(args), socket.WithAddMeta("ip", ip))
		if rerr := p.PostReadPullBody(readCtx{in: in}); rerr != nil {
			if rerr.Code != tp.CodeBadPacket || rerr.Detail == "" {
				t.Error(rerr)
			}
			return
		}
		if args.IP == nil || *args.IP == other && ip != "9.9.9.9" || args.UserName != "" || args.Bytes != nil || args.Texts != nil {
			t.Errorf("got %+v", args)
		}
		if query == "" && !reflect.DeepEqual(args.Ints, []int{7}) {
			t.Errorf("got %+v", args)
		}
	})
}
