package md5_test

import (
	"fmt"

	"github.com/henrylee2cn/teleport/xfer"
	"github.com/henrylee2cn/teleport/xfer/md5"
)

func Example() {
	var pipe xfer.XferPipe
	if err := pipe.Append(md5.ID); err != nil {
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
	// 68656c6c6f5d41402abc4b2a76b9719d911017c592 <nil>
	// hello <nil>
	// xfer: filter 'm' (109): unpack: md5: the checksum does not match
}
