package xml_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/henrylee2cn/teleport/codec"
	teleportxml "github.com/henrylee2cn/teleport/codec/xml"
)

type item struct {
	Title string  `xml:"title,attr"`
	Price float64 `xml:"price"`
}

type order struct {
	XMLName xml.Name `xml:"order"`
	ID      int64    `xml:"id,attr"`
	Items   []item   `xml:"items>item"`
	Note    *string  `xml:"note"`
	Bytes   []byte   `xml:"bytes"`
	Raw     string   `xml:",innerxml"`
}

type customer struct {
	Name string
	VIP  bool
}

func TestRegistered(t *testing.T) {
	if c, err := codec.GetByName("xml"); err != nil || c.Id() != 'x' || !codec.CopiesData(c) {
		t.Errorf("got %v, %v", c, err)
	}
}

func TestRoundTrip(t *testing.T) {
	tests := []struct {
		in   interface{}
		want string
	}{
		{customer{"Ann <&> \"é\"", true}, `<customer><Name>Ann &lt;&amp;&gt; &#34;é&#34;</Name><VIP>true</VIP></customer>`},
		{&customer{}, `<customer><Name></Name><VIP>false</VIP></customer>`},
		{"a<b", `<string>a&lt;b</string>`},
		{-5, `<int>-5</int>`},
		{1.5, `<float64>1.5</float64>`},
		{true, `<bool>true</bool>`},
		{item{"t", 0.1}, `<item title="t"><price>0.1</price></item>`},
	}
	for _, tt := range tests {
		data, err := teleportxml.Codec{}.Marshal(tt.in)
		if string(data) != tt.want || err != nil {
			t.Errorf("%T: got %s, %v, want %s", tt.in, data, err, tt.want)
		}
		if appended, err := codec.MarshalAppend(teleportxml.Codec{}, []byte("front"), tt.in); string(appended) != "front"+tt.want || err != nil {
			t.Errorf("%T, appended: got %s, %v", tt.in, appended, err)
		}
		want := reflect.Indirect(reflect.ValueOf(tt.in))
		got := reflect.New(want.Type())
		if err := (teleportxml.Codec{}).Unmarshal(data, got.Interface()); err != nil || !reflect.DeepEqual(got.Elem().Interface(), want.Interface()) {
			t.Errorf("%s: got %v, %v, want %v", data, got.Elem(), err, want)
		}
	}
}

const document = `<?xml version="1.0" encoding="UTF-8"?>
<!-- an order -->
<order id="7"><items><item title="tea"><price>2.5</price></item><item title="m&#252;sli"><price>3</price></item></items>` +
	`<note><![CDATA[<as it is>]]></note><bytes>abc</bytes><unknown><a/></unknown></order>
<!-- the end -->
`

// What comes out does not change with the data, also not where it is raw.
func TestUnmarshalCopies(t *testing.T) {
	data, got, want := []byte(document), new(order), new(order)
	for _, v := range []*order{got, want} {
		if err := (teleportxml.Codec{}).Unmarshal(data, v); err != nil {
			t.Fatal(err)
		}
		if v == got {
			data = bytes.Clone(data)
			continue
		}
		for i := range data {
			data[i] = '#'
		}
	}
	if got.ID != 7 || len(got.Items) != 2 || got.Items[1].Title != "müsli" || *got.Note != "<as it is>" || string(got.Bytes) != "abc" {
		t.Errorf("got %+v", got)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("changed with the data: got %+v, want %+v", want, got)
	}
}

func TestNothing(t *testing.T) {
	var none *customer
	for _, v := range []interface{}{nil, none, struct{}{}, &struct{}{}} {
		if data, err := (teleportxml.Codec{}).Marshal(v); len(data) > 0 || data == nil || err != nil {
			t.Errorf("%T: got %q, %v, want no bytes", v, data, err)
		}
	}
	kept := customer{Name: "kept"}
	if err := (teleportxml.Codec{}).Unmarshal(nil, &kept); err != nil || kept.Name != "kept" {
		t.Errorf("no data: got %v, %v, want no change", kept, err)
	}
	if err := (teleportxml.Codec{}).Unmarshal([]byte("<<"), nil); err != nil {
		t.Errorf("into nil: %v", err)
	}
	if err := (teleportxml.Codec{}).Unmarshal([]byte(document), &struct{}{}); err != nil {
		t.Errorf("into *struct{}: %v", err)
	}
}

func TestErrors(t *testing.T) {
	for _, v := range []interface{}{map[string]string{}, []int{1, 2}, [2]int{}, &[]string{"a"}, make(chan int)} {
		data, err := teleportxml.Codec{}.Marshal(v)
		if data != nil || err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%T", v)) {
			t.Errorf("%T: got %q, %v, want an error that names the type", v, data, err)
		}
	}
	good := "<customer><Name>a</Name></customer>"
	for _, v := range []interface{}{5, customer{}, (*customer)(nil), new(interface{}), new([]int), new([2]int), new(map[string]string), new([]byte)} {
		if err := (teleportxml.Codec{}).Unmarshal([]byte(good), v); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%T", v)) {
			t.Errorf("into %T: got %v, want an error that names the type", v, err)
		}
	}
	for _, data := range []string{
		" ", "x", good + good, good + "x", good + "<", good + "<!-- ", good + "</customer>", "<a></b>", "<a><b></a>", "<customer><VIP>7</VIP></customer>",
		"<a>&bomb;</a>", "<a>\xff</a>", `<?xml version="1.0" encoding="latin1"?><a/>`,
		`<!DOCTYPE a [<!ENTITY x "y"><!ENTITY bomb "&x;&x;">]><customer><Name>&bomb;</Name></customer>`,
		`<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/passwd">]><customer><Name>&f;</Name></customer>`,
	} {
		if err := (teleportxml.Codec{}).Unmarshal([]byte(data), new(customer)); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%q: got %v, want an error", data, err)
		}
	}
}

func TestTruncated(t *testing.T) {
	end := strings.LastIndex(document, "</order>") + len("</order>")
	for n := 1; n < end; n++ {
		for _, v := range []interface{}{new(order), new(struct{})} {
			if err := (teleportxml.Codec{}).Unmarshal([]byte(document[:n]), v); err == nil || errors.Is(err, io.EOF) {
				t.Errorf("cut to %d of %d bytes, into %T: got %v", n, len(document), v, err)
			}
		}
	}
}

type node struct {
	Inside *node `xml:"a"`
}

// The decoder calls itself for each element, but only so deep.
func TestDepth(t *testing.T) {
	const n = 50000
	data := []byte(strings.Repeat("<a>", n) + strings.Repeat("</a>", n))
	if err := (teleportxml.Codec{}).Unmarshal(data, new(node)); err == nil {
		t.Errorf("%d elements, nested: got no error", n)
	}
	for _, v := range []interface{}{new(struct{ Inside *struct{} }), new(string), new(struct{})} {
		_ = teleportxml.Codec{}.Unmarshal(data, v) // skipped without calls: what matters is that it returns
	}
}

func FuzzUnmarshal(f *testing.F) {
	for _, seed := range []string{"", document, "<customer><Name>a</Name></customer>", "<a/>", "<a b='c'/>", "<!DOCTYPE a><a/>", "<a>&#x41;</a>", "<?x?>"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		for _, v := range []interface{}{new(customer), new(order), new(string), new(int), new(struct{})} {
			err := teleportxml.Codec{}.Unmarshal(data, v)
			if errors.Is(err, io.EOF) {
				t.Fatal("got io.EOF")
			}
			if !bytes.Equal(data, before) {
				t.Fatal("it wrote to data")
			}
			if c, ok := v.(*customer); ok && err == nil {
				packed, err := teleportxml.Codec{}.Marshal(c)
				if err != nil {
					t.Fatal(err)
				}
				again := new(customer)
				if err := (teleportxml.Codec{}).Unmarshal(packed, again); err != nil || *again != *c {
					t.Fatalf("%q: got %v, %v, want %v", data, again, err, c)
				}
			}
		}
	})
}
