package tp_test

import (
	"bytes"
	"crypto/rand"
	"fmt"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/xfer"
	"github.com/henrylee2cn/teleport/xfer/aesgcm"
	"github.com/henrylee2cn/teleport/xfer/zstd"
)

// sealedPlugin lets in only what has gone through the filter with the id. Both
// sides have it: a filter by itself demands nothing.
type sealedPlugin byte

var ( // a misspelt hook would be no hook
	_ tp.PostReadPullHeaderPlugin  = sealedPlugin(0)
	_ tp.PostReadPushHeaderPlugin  = sealedPlugin(0)
	_ tp.PostReadReplyHeaderPlugin = sealedPlugin(0)
)

func (sealedPlugin) Name() string { return "sealed" }

func (s sealedPlugin) PostReadPullHeader(ctx tp.ReadCtx) *tp.Rerror  { return s.check(ctx) }
func (s sealedPlugin) PostReadPushHeader(ctx tp.ReadCtx) *tp.Rerror  { return s.check(ctx) }
func (s sealedPlugin) PostReadReplyHeader(ctx tp.ReadCtx) *tp.Rerror { return s.check(ctx) }

func (s sealedPlugin) check(ctx tp.ReadCtx) *tp.Rerror {
	if bytes.IndexByte(ctx.Input().XferPipe().Ids(), byte(s)) < 0 {
		return tp.NewRerror(tp.CodeUnauthorized, "not sealed")
	}
	return nil
}

func init() {
	key := make([]byte, 32) // a program reads it from where it keeps secrets
	rand.Read(key)
	filter, err := aesgcm.New(&aesgcm.Config{Keys: map[uint32][]byte{1: key}, Current: 1})
	if err != nil {
		tp.Panicf("%v", err)
	}
	xfer.Reg(filter)
}

// Packets are compressed, then sealed; what is not sealed is refused.
func Example_sealed() {
	quiet, _ := tp.NewLogger(nil, "OFF")
	server := tp.NewPeer(&tp.PeerConfig{Logger: quiet}, sealedPlugin(aesgcm.ID))
	defer server.Close()
	tp.RegPull(server.PullRouter, "add", exampleAdd)
	client := tp.NewPeer(&tp.PeerConfig{Logger: quiet}, sealedPlugin(aesgcm.ID))
	defer client.Close()

	sess, rerr := client.Dial(exampleListen(server))
	if rerr != nil {
		fmt.Println(rerr)
		return
	}
	var sum int
	fmt.Println(sess.Pull("/add", [2]int{1, 2}, &sum, tp.WithXferPipe(aesgcm.ID, zstd.ID)).Rerror(), sum)
	fmt.Println(sess.Pull("/add", [2]int{1, 2}, &sum).Rerror())
	// Output:
	// <nil> 3
	// {"code":401,"message":"not sealed","detail":""}
}
