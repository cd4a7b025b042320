package utils_test

import (
	"fmt"

	"github.com/henrylee2cn/teleport/utils"
)

func ExampleArgs() {
	var meta utils.Args
	meta.Set("X-Trace", "7f3a")
	meta.Add("tag", "red")
	meta.Add("tag", "dark blue")
	fmt.Println(meta.String())
	fmt.Printf("%s\n", meta.PeekMulti("tag"))
	// Output:
	// X-Trace=7f3a&tag=red&tag=dark%20blue
	// [red dark blue]
}

func ExampleArgs_Parse() {
	var query utils.Args
	query.Parse("peer_id=client+1&retries=3&verbose")
	retries, err := query.GetUint("retries")
	fmt.Printf("%s, %d, %v, %t\n", query.Peek("peer_id"), retries, err, query.Has("verbose"))
	// Output:
	// client 1, 3, <nil>, true
}

func ExampleArgs_VisitAll() {
	var a utils.Args
	a.Parse("a=1&b=2&a=3")
	a.VisitAll(func(key, value []byte) {
		fmt.Printf("%s: %s\n", key, value)
	})
	// Output:
	// a: 1
	// b: 2
	// a: 3
}
