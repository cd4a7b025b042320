package form_test

import (
	"fmt"

	"github.com/henrylee2cn/teleport/codec"
	_ "github.com/henrylee2cn/teleport/codec/form"
)

func Example() {
	c, err := codec.GetByName("form")
	if err != nil {
		fmt.Println(err)
		return
	}
	type search struct {
		Words []string `form:"q"`
		Page  int      `form:"page"`
	}
	data, err := c.Marshal(search{Words: []string{"tea", "black & white"}, Page: 2})
	fmt.Printf("%c %s %v\n", c.Id(), data, err)
	var s search
	err = c.Unmarshal(data, &s)
	fmt.Printf("%q %d %v\n", s.Words, s.Page, err)
	// Output:
	// f page=2&q=tea&q=black+%26+white <nil>
	// ["tea" "black & white"] 2 <nil>
}
