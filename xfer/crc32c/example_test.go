package crc32c_test

import (
	"fmt"

	"github.com/henrylee2cn/teleport/xfer"
	"github.com/henrylee2cn/teleport/xfer/crc32c"
)

func Example() {
	var pipe xfer.XferPipe
	if err := pipe.Append(crc32c.ID); err != nil {
		fmt.Println(err)
		return
	}
	packed, err := pipe.OnPack([]byte("hello"))
	fmt.Printf("%x %v\n", packed, err)
	data, err := pipe.OnUnpackLimit(packed, 1<<20)
	fmt.Printf("%s %v\n", data, err)
	packed[0] ^= 1
	_, err = pipe.OnUnpackLimit(packed, 1<<20)
	fmt.Println(err)
	// Output:
	// 68656c6c6f9a71bb4c <nil>
	// hello <nil>
	// xfer: filter 'c' (99): unpack: crc32c: the checksum does not match
}
