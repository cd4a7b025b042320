package zstd_test

import (
	"fmt"
	"strings"

	"github.com/henrylee2cn/teleport/xfer"
	"github.com/henrylee2cn/teleport/xfer/zstd"
)

func Example() {
	var pipe xfer.XferPipe
	if err := pipe.Append(zstd.ID); err != nil {
		fmt.Println(err)
		return
	}
	packed, err := pipe.OnPack([]byte(strings.Repeat("teleport ", 1000)))
	fmt.Println(len(packed) < 100, err)
	data, err := pipe.OnUnpackLimit(packed, 9000)
	fmt.Println(len(data), err)
	_, err = pipe.OnUnpackLimit(packed, 500)
	fmt.Println(err)
	// Output:
	// true <nil>
	// 9000 <nil>
	// xfer: filter 'z' (122): unpack: xfer: unpacked data exceeds the limit: at least 9000 bytes, at most 500 are allowed
}
