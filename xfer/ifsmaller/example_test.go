package ifsmaller_test

import (
	"fmt"
	"strings"

	"github.com/henrylee2cn/teleport/xfer/ifsmaller"
	"github.com/henrylee2cn/teleport/xfer/zstd"
)

func Example() {
	f, err := ifsmaller.New(&ifsmaller.Config{Id: 'Z', Filter: zstd.ID})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, content := range []string{"short", strings.Repeat("long ", 1000)} {
		packed, err := f.OnPack([]byte(content))
		fmt.Println(packed[0], len(packed) <= len(content)+1, err)
		data, err := f.OnUnpackLimit(packed, 1<<20)
		fmt.Println(string(data) == content, err)
	}
	// Output:
	// 0 true <nil>
	// true <nil>
	// 1 true <nil>
	// true <nil>
}
