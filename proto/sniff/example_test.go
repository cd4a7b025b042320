package sniff_test

import (
	"fmt"

	"github.com/henrylee2cn/teleport/proto/sniff"
)

// A Matcher of the program's own says More until it knows.
func ExampleMatcher() {
	var isSSH sniff.Matcher = sniff.Prefix("SSH-2.0-", "SSH-1.99-")
	fmt.Println(isSSH([]byte("SSH-")), isSSH([]byte("SSH-2.0-OpenSSH")), isSSH([]byte("GET /")))
	// Output: more yes no
}
