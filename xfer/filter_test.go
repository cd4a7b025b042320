package xfer_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/henrylee2cn/teleport/xfer"
)

// tagFilter puts its id in front of the data, and takes it off again.
type tagFilter byte

var errTag = errors.New("no tag")

func (f tagFilter) Id() byte { return byte(f) }

func (f tagFilter) OnPack(src []byte) ([]byte, error) {
	return append([]byte{byte(f)}, src...), nil
}

func (f tagFilter) OnUnpack(src []byte) ([]byte, error) {
	if len(src) == 0 || src[0] != byte(f) {
		return nil, errTag
	}
	return src[1:], nil
}

// panicFilter panics with its value.
type panicFilter struct {
	tagFilter
	value interface{}
}

func (f panicFilter) OnPack([]byte) ([]byte, error)   { panic(f.value) }
func (f panicFilter) OnUnpack([]byte) ([]byte, error) { panic(f.value) }

// doubleFilter makes twice as much on unpacking, without regard to limits.
type doubleFilter struct{ tagFilter }

func (f doubleFilter) OnUnpack(src []byte) ([]byte, error) { return bytes.Repeat(src, 2), nil }

// brokenFilter fails.
type brokenFilter struct{ tagFilter }

func (f brokenFilter) OnPack([]byte) ([]byte, error)   { return []byte("partial"), errTag }
func (f brokenFilter) OnUnpack([]byte) ([]byte, error) { return []byte("partial"), errTag }

// register registers filters for the time of a test.
func register(t testing.TB, filters ...xfer.XferFilter) {
	t.Helper()
	for _, f := range filters {
		xfer.Reg(f)
		t.Cleanup(func() { xfer.Unreg(f.Id()) })
	}
}

// pipeOf returns a pipe with the filters.
func pipeOf(t testing.TB, ids ...byte) *xfer.XferPipe {
	t.Helper()
	var pipe xfer.XferPipe
	if err := pipe.Append(ids...); err != nil {
		t.Fatal(err)
	}
	return &pipe
}

// checksum is a filter that ends a packet with the sum of its bytes.
type checksum struct{}

func (checksum) Id() byte { return 'c' }

func (checksum) OnPack(src []byte) ([]byte, error) {
	var sum byte
	for _, b := range src {
		sum += b
	}
	return append(src[:len(src):len(src)], sum), nil
}

func (checksum) OnUnpack(src []byte) ([]byte, error) {
	if len(src) == 0 {
		return nil, errors.New("no checksum")
	}
	data, want := src[:len(src)-1], src[len(src)-1]
	for _, b := range data {
		want -= b
	}
	if want != 0 {
		return nil, errors.New("wrong checksum")
	}
	return data, nil
}

func Example() {
	xfer.Reg(checksum{})
	var pipe xfer.XferPipe
	if err := pipe.Append('c', 'g'); err != nil {
		fmt.Println(err)
		return
	}
	packed, err := pipe.OnPack([]byte("hello"))
	if err != nil {
		fmt.Println(err)
		return
	}
	data, err := pipe.OnUnpackLimit(packed, 1<<20)
	fmt.Printf("%s %s %v\n", pipe.Ids(), data, err)
	packed[len(packed)-1]++
	_, err = pipe.OnUnpackLimit(packed, 1<<20)
	fmt.Println(err)
	// Output:
	// cg hello <nil>
	// xfer: filter 'c' (99): unpack: wrong checksum
}
