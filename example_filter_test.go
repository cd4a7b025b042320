package tp_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/xfer"
)

// crcFilter is an xfer.XferFilter that appends a checksum to each packet.
type crcFilter struct{}

func (crcFilter) Id() byte { return 'C' }

func (crcFilter) OnPack(src []byte) ([]byte, error) {
	// A filter must not write to src, so its spare capacity is cut off.
	return binary.BigEndian.AppendUint32(src[:len(src):len(src)], crc32.ChecksumIEEE(src)), nil
}

func (crcFilter) OnUnpack(src []byte) ([]byte, error) {
	n := len(src) - 4
	if n < 0 || binary.BigEndian.Uint32(src[n:]) != crc32.ChecksumIEEE(src[:n]) {
		return nil, errors.New("the checksum is wrong")
	}
	return src[:n], nil
}

func init() { xfer.Reg(crcFilter{}) }

// Filters are chosen for each pull or push, outermost first. Here the checksum
// is over the compressed bytes. The reply takes the same way.
func Example_filter() {
	server := tp.NewPeer(&tp.PeerConfig{})
	defer server.Close()
	tp.RegPull(server.PullRouter, "add", exampleAdd)
	client := tp.NewPeer(&tp.PeerConfig{})
	defer client.Close()

	sess, rerr := client.Dial(exampleListen(server))
	if rerr != nil {
		fmt.Println(rerr)
		return
	}
	var sum int
	fmt.Println(sess.Pull("/add", [2]int{1, 2}, &sum, tp.WithXferPipe('C', 'g')).Rerror(), sum)
	// Output: <nil> 3
}
