package kgzip_test

import (
	"fmt"

	"github.com/henrylee2cn/teleport/xfer"
	_ "github.com/henrylee2cn/teleport/xfer/kgzip"
)

// The import is all that a program needs.
func Example() {
	f, err := xfer.Get('g')
	fmt.Printf("%T %c %v\n", f, f.Id(), err)
	// Output: *kgzip.Filter g <nil>
}
