package gojson_test

import (
	"fmt"

	"github.com/henrylee2cn/teleport/codec"
	_ "github.com/henrylee2cn/teleport/codec/gojson"
)

// The import is all that a program needs.
func Example() {
	c, err := codec.GetByName("json")
	if err != nil {
		fmt.Println(err)
		return
	}
	data, err := c.Marshal(map[string]int{"b": 2, "a": 1})
	fmt.Printf("%T %c %s %v\n", c, c.Id(), data, err)
	// Output:
	// gojson.Codec j {"a":1,"b":2} <nil>
}
