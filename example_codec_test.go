package tp_test

import (
	"bytes"
	"encoding/gob"
	"fmt"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/codec"
)

// gobCodec is a codec.Codec for the format of encoding/gob.
type gobCodec struct{}

func (gobCodec) Id() byte     { return 'G' }
func (gobCodec) Name() string { return "gob" }

func (gobCodec) Marshal(v interface{}) ([]byte, error) {
	var b bytes.Buffer
	if v == nil { // gob has no nil: no bytes
		return nil, nil
	}
	err := gob.NewEncoder(&b).Encode(v)
	return b.Bytes(), err
}

func (gobCodec) Unmarshal(data []byte, v interface{}) error {
	return gob.NewDecoder(bytes.NewReader(data)).Decode(v)
}

func init() { codec.Reg(gobCodec{}) }

// A peer uses a codec by its name, a single call by its id.
func Example_codec() {
	server := tp.NewPeer(&tp.PeerConfig{})
	defer server.Close()
	tp.RegPull(server.PullRouter, "add", exampleAdd)
	client := tp.NewPeer(&tp.PeerConfig{DefaultBodyCodec: "gob"})
	defer client.Close()

	sess, rerr := client.Dial(exampleListen(server))
	if rerr != nil {
		fmt.Println(rerr)
		return
	}
	var sum int
	cmd := sess.Pull("/add", [2]int{1, 2}, &sum)
	fmt.Printf("%v %d %c\n", cmd.Rerror(), sum, cmd.InputBodyCodec())
	cmd = sess.Pull("/add", [2]int{3, 4}, &sum, tp.WithBodyCodec(codec.ID_JSON))
	fmt.Printf("%v %d %c\n", cmd.Rerror(), sum, cmd.InputBodyCodec())
	// Output:
	// <nil> 3 G
	// <nil> 7 j
}
