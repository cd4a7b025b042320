package transport_test

import (
	"fmt"

	"github.com/henrylee2cn/teleport/transport"
)

func ExampleSplit() {
	fmt.Println(transport.Split("unix:///run/chat.sock"))
	scheme, rest := transport.Split("0.0.0.0:9090")
	fmt.Printf("%q %q\n", scheme, rest)
	// Output:
	// unix /run/chat.sock
	// "" "0.0.0.0:9090"
}
