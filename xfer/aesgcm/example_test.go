package aesgcm_test

import (
	"crypto/rand"
	"fmt"

	"github.com/henrylee2cn/teleport/xfer/aesgcm"
)

func Example() {
	key := make([]byte, 32) // a program reads it from where it keeps secrets
	if _, err := rand.Read(key); err != nil {
		fmt.Println(err)
		return
	}
	f, err := aesgcm.New(&aesgcm.Config{Keys: map[uint32][]byte{1: key}, Current: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	// xfer.Reg(f) makes it the filter 'a' of the process.
	packed, err := f.OnPack([]byte("hello"))
	fmt.Printf("%c %d %v\n", f.Id(), len(packed)-len("hello"), err)
	data, err := f.OnUnpackLimit(packed, 1<<20)
	fmt.Printf("%s %v\n", data, err)
	packed[len(packed)-1] ^= 1
	_, err = f.OnUnpackLimit(packed, 1<<20)
	fmt.Println(err)
	// Output:
	// a 32 <nil>
	// hello <nil>
	// aesgcm: the packet is not authentic
}

// The key 1 is replaced by the key 2. A program with more than one process does each
// step everywhere before the next.
func ExampleFilter_SetKeys() {
	one, two := make([]byte, 32), make([]byte, 32)
	_, _ = rand.Read(one)
	_, _ = rand.Read(two)
	f, err := aesgcm.New(&aesgcm.Config{Keys: map[uint32][]byte{1: one}, Current: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	old, _ := f.OnPack([]byte("packed with 1"))
	fmt.Println(f.SetKeys(map[uint32][]byte{1: one, 2: two}, 1)) // both can be read
	fmt.Println(f.SetKeys(map[uint32][]byte{1: one, 2: two}, 2)) // 2 is packed with
	data, err := f.OnUnpack(old)
	fmt.Printf("%s %v\n", data, err)
	fmt.Println(f.SetKeys(map[uint32][]byte{2: two}, 2)) // 1 is gone
	_, err = f.OnUnpack(old)
	fmt.Println(err)
	// Output:
	// <nil>
	// <nil>
	// packed with 1 <nil>
	// <nil>
	// aesgcm: unknown key: there is no key 1
}
