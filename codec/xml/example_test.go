package xml_test

import (
	"fmt"

	"github.com/henrylee2cn/teleport/codec"
	_ "github.com/henrylee2cn/teleport/codec/xml"
)

type greeting struct {
	Lang string `xml:"lang,attr"`
	Text string `xml:"text"`
}

func Example() {
	c, err := codec.GetByName("xml")
	if err != nil {
		fmt.Println(err)
		return
	}
	data, err := c.Marshal(greeting{"en", "Hello & goodbye"})
	fmt.Printf("%c %s %v\n", c.Id(), data, err)
	var g greeting
	err = c.Unmarshal(data, &g)
	fmt.Println(g, err)
	// Output:
	// x <greeting lang="en"><text>Hello &amp; goodbye</text></greeting> <nil>
	// {en Hello & goodbye} <nil>
}
