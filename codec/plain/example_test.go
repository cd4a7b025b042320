package plain_test

import (
	"fmt"

	"github.com/henrylee2cn/teleport/codec"
	_ "github.com/henrylee2cn/teleport/codec/plain"
)

func Example() {
	c, err := codec.GetByName("plain")
	if err != nil {
		fmt.Println(err)
		return
	}
	data, err := c.Marshal(42)
	fmt.Printf("%c %s %v\n", c.Id(), data, err)
	var n uint8
	fmt.Println(c.Unmarshal([]byte("255"), &n), n)
	fmt.Println(c.Unmarshal([]byte("256"), &n))
	// Output:
	// s 42 <nil>
	// <nil> 255
	// plain: unmarshal into *uint8: strconv.ParseUint: parsing "256": value out of range
}
