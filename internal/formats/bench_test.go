package formats_test

import (
	"testing"

	"github.com/henrylee2cn/teleport/codec"
	"github.com/henrylee2cn/teleport/internal/filtertest"
	"github.com/henrylee2cn/teleport/internal/formats"
	"github.com/henrylee2cn/teleport/xfer"
)

// BenchmarkCodec encodes an order of 4 items as packets do, into memory that is there,
// and decodes it into an order of its own. Strings have a text of the same size.
func BenchmarkCodec(b *testing.B) {
	for _, c := range codecs {
		var in interface{} = sample()
		out := func() interface{} { return new(order) }
		switch c.codec.Id() {
		case codec.ID_PROTOBUF:
			in, out = sampleProto(), func() interface{} { return new(formats.Order) }
		case codec.ID_STRING:
			text := string(filtertest.Text(600))
			in, out = &text, func() interface{} { return new(string) }
		}
		data, err := c.codec.Marshal(in)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(c.name+"/Marshal", func(b *testing.B) {
			b.ReportAllocs()
			buf := make([]byte, 0, 4096)
			for b.Loop() {
				if _, err := codec.MarshalAppend(c.codec, buf, in); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(data)), "bytes")
		})
		b.Run(c.name+"/Unmarshal", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				body := data
				if !codec.CopiesData(c.codec) { // as for a body that is read
					body = append([]byte(nil), data...)
				}
				if err := c.codec.Unmarshal(body, out()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFilter packs and unpacks JSON that compresses as such does, of 600 bytes and
// of 64 KiB.
func BenchmarkFilter(b *testing.B) {
	for _, size := range []struct {
		name string
		n    int
	}{{"600B", 600}, {"64KiB", 64 << 10}} {
		data := orders(b, size.n)
		for _, p := range pipes {
			if p.ids == "" {
				continue
			}
			choose(b, p.name)
			var pipe xfer.XferPipe
			if err := pipe.Append([]byte(p.ids)...); err != nil {
				b.Fatal(err)
			}
			packed, err := pipe.OnPack(data)
			if err != nil {
				b.Fatal(err)
			}
			b.Run(p.name+"/"+size.name+"/Pack", func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(data)))
				for b.Loop() {
					if _, err := pipe.OnPack(data); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(100*float64(len(packed))/float64(len(data)), "%size")
			})
			b.Run(p.name+"/"+size.name+"/Unpack", func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(data)))
				for b.Loop() {
					if _, err := pipe.OnUnpackLimit(packed, 16<<20); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// orders returns n bytes of orders in JSON, which differ.
func orders(b *testing.B, n int) []byte {
	b.Helper()
	var data []byte
	for i := 0; len(data) < n; i++ {
		o := sample()
		o.Created += int64(i) * 7919
		o.Total += float64(i*31%1000) / 8
		o.Customer.ID += int64(i)
		o.Items = append(o.Items[i%4:], o.Items[:i%4]...)
		var err error
		if data, err = codec.MarshalAppend(codec.JsonCodec{}, data, o); err != nil {
			b.Fatal(err)
		}
	}
	return data[:n]
}
