package msgpack_test

import (
	"fmt"

	"github.com/henrylee2cn/teleport/codec"
	_ "github.com/henrylee2cn/teleport/codec/msgpack"
)

func Example() {
	c, err := codec.GetByName("msgpack")
	if err != nil {
		fmt.Println(err)
		return
	}
	type point struct {
		X int8 `json:"x"`
		Y int8 `json:"y"`
	}
	data, err := c.Marshal(point{1, 2})
	fmt.Printf("%c %x %v\n", c.Id(), data, err)
	var p point
	err = c.Unmarshal(data, &p)
	fmt.Println(p, err)
	// Output:
	// m 82a17801a17902 <nil>
	// {1 2} <nil>
}
