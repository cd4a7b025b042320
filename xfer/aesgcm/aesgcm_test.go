package aesgcm_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/henrylee2cn/teleport/internal/filtertest"
	"github.com/henrylee2cn/teleport/xfer/aesgcm"
)

// keyOf returns a key for a test: a real one is random.
func keyOf(c byte, n int) []byte { return bytes.Repeat([]byte{c}, n) }

func newFilter(t testing.TB, config *aesgcm.Config) *aesgcm.Filter {
	t.Helper()
	f, err := aesgcm.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFilter(t *testing.T) {
	for _, n := range []int{16, 24, 32} {
		for _, ad := range []string{"", "orders"} {
			filtertest.Run(t, newFilter(t, &aesgcm.Config{Keys: map[uint32][]byte{1: keyOf('k', n)}, Current: 1, AssociatedData: []byte(ad)}), filtertest.Flips)
		}
	}
}

func FuzzFilter(f *testing.F) {
	filtertest.Fuzz(f, newFilter(f, &aesgcm.Config{Keys: map[uint32][]byte{1: keyOf('k', 16)}, Current: 1}), filtertest.Flips)
}

func TestConfig(t *testing.T) {
	tests := []struct {
		config *aesgcm.Config
		want   string
	}{
		{nil, "Keys: there is none"},
		{&aesgcm.Config{}, "Keys: there is none"},
		{&aesgcm.Config{Keys: map[uint32][]byte{1: keyOf('k', 15)}, Current: 1}, "key 1 has 15 bytes"},
		{&aesgcm.Config{Keys: map[uint32][]byte{1: keyOf('k', 16), 2: nil}, Current: 1}, "key 2 has 0 bytes"},
		{&aesgcm.Config{Keys: map[uint32][]byte{1: keyOf('k', 16)}, Current: 2}, "Current: there is no key 2"},
	}
	for _, tt := range tests {
		if f, err := aesgcm.New(tt.config); f != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: got %v, %v, want %q", tt.config, f, err, tt.want)
		} else if strings.Contains(err.Error(), "kkk") {
			t.Errorf("the error has the key: %v", err)
		}
	}
	if id := newFilter(t, &aesgcm.Config{Keys: map[uint32][]byte{0: keyOf('k', 16)}}).Id(); id != 'a' {
		t.Errorf("id %q, want a", id)
	}
	if id := newFilter(t, &aesgcm.Config{Id: 7, Keys: map[uint32][]byte{0: keyOf('k', 16)}}).Id(); id != 7 {
		t.Errorf("id %d, want 7", id)
	}
	// What is given is copied.
	keys, ad := map[uint32][]byte{1: keyOf('k', 16)}, []byte("orders")
	f := newFilter(t, &aesgcm.Config{Keys: keys, Current: 1, AssociatedData: ad})
	packed := filtertest.Pack(t, f, []byte("abc"))
	keys[1][0], ad[0] = 'x', 'x'
	delete(keys, 1)
	if got, err := f.OnUnpack(packed); string(got) != "abc" || err != nil {
		t.Errorf("after a change of the config: got %q, %v", got, err)
	}
}

// A packet is as it is documented: the standard library opens it by that, and one
// that was made so is opened.
func TestGolden(t *testing.T) {
	key, ad := keyOf(7, 32), []byte("orders")
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	f := newFilter(t, &aesgcm.Config{Keys: map[uint32][]byte{0x01020304: key}, Current: 0x01020304, AssociatedData: ad})
	packed := filtertest.Pack(t, f, []byte("content"))
	if len(packed) != len("content")+aesgcm.Overhead || !bytes.HasPrefix(packed, []byte{1, 2, 3, 4}) {
		t.Fatalf("got %x", packed)
	}
	sealedOver := append([]byte{1, 2, 3, 4}, ad...)
	if got, err := gcm.Open(nil, packed[4:16], packed[16:], sealedOver); string(got) != "content" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	nonce := []byte("twelve bytes")
	made := append([]byte{1, 2, 3, 4}, nonce...)
	made = gcm.Seal(made, nonce, []byte("content"), sealedOver)
	if got, err := f.OnUnpack(made); string(got) != "content" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// Each packet has a nonce of its own, and who has another key, or other associated
// data, or the same key by another id, cannot read it.
func TestOthersCannotRead(t *testing.T) {
	keys := map[uint32][]byte{1: keyOf('k', 32)}
	f := newFilter(t, &aesgcm.Config{Keys: keys, Current: 1, AssociatedData: []byte("orders")})
	nonces := map[string]bool{}
	for range 1000 {
		packed := filtertest.Pack(t, f, []byte("the same content"))
		nonces[string(packed[4:16])] = true
		if bytes.Contains(packed, []byte("same")) {
			t.Fatal("the content can be read")
		}
	}
	if len(nonces) != 1000 {
		t.Errorf("1000 packets have %d nonces", len(nonces))
	}
	packed := filtertest.Pack(t, f, []byte("content"))
	tests := []struct {
		name   string
		config aesgcm.Config
		want   error
	}{
		{"other key", aesgcm.Config{Keys: map[uint32][]byte{1: keyOf('x', 32)}, Current: 1, AssociatedData: []byte("orders")}, aesgcm.ErrForged},
		{"no such key", aesgcm.Config{Keys: map[uint32][]byte{2: keyOf('k', 32)}, Current: 2, AssociatedData: []byte("orders")}, aesgcm.ErrUnknownKey},
		{"other data", aesgcm.Config{Keys: keys, Current: 1, AssociatedData: []byte("orders2")}, aesgcm.ErrForged},
		{"no data", aesgcm.Config{Keys: keys, Current: 1}, aesgcm.ErrForged},
	}
	for _, tt := range tests {
		if got, err := newFilter(t, &tt.config).OnUnpack(packed); got != nil || !errors.Is(err, tt.want) {
			t.Errorf("%s: got %q, %v, want %v", tt.name, got, err, tt.want)
		}
	}
	for _, ad := range []string{"", "orders"} {
		same := newFilter(t, &aesgcm.Config{Keys: map[uint32][]byte{1: keyOf('k', 32), 2: keyOf('k', 32)}, Current: 1, AssociatedData: []byte(ad)})
		packed := filtertest.Pack(t, same, []byte("content"))
		packed[3] = 2
		if got, err := same.OnUnpack(packed); got != nil || !errors.Is(err, aesgcm.ErrForged) {
			t.Errorf("the id of the key changed, with %q: got %q, %v", ad, got, err)
		}
	}
}

// Two sides change their key in the three steps of the manual, one side after the
// other, and each packet of either is read by the other at every step.
func TestRotation(t *testing.T) {
	one, two := keyOf(1, 16), keyOf(2, 32)
	steps := []struct {
		keys    map[uint32][]byte
		current uint32
	}{
		{map[uint32][]byte{1: one}, 1},
		{map[uint32][]byte{1: one, 2: two}, 1},
		{map[uint32][]byte{1: one, 2: two}, 2},
		{map[uint32][]byte{2: two}, 2},
	}
	sides := [2]*aesgcm.Filter{}
	for i := range sides {
		sides[i] = newFilter(t, &aesgcm.Config{Keys: steps[0].keys, Current: 1})
	}
	exchange := func(step int) {
		for i := range sides {
			packed := filtertest.Pack(t, sides[i], []byte("content"))
			if got, err := sides[1-i].OnUnpack(packed); string(got) != "content" || err != nil {
				t.Errorf("step %d, from side %d: got %q, %v", step, i, got, err)
			}
		}
	}
	old := filtertest.Pack(t, sides[0], []byte("old"))
	exchange(0)
	for step := 1; step < len(steps); step++ {
		for i := range sides {
			if err := sides[i].SetKeys(steps[step].keys, steps[step].current); err != nil {
				t.Fatal(err)
			}
			exchange(step)
		}
	}
	if got, err := sides[1].OnUnpack(old); got != nil || !errors.Is(err, aesgcm.ErrUnknownKey) {
		t.Errorf("a packet of the old key: got %q, %v", got, err)
	}
	// What is refused changes nothing.
	if err := sides[0].SetKeys(steps[0].keys, 9); err == nil {
		t.Error("got no error")
	}
	exchange(9)
}

func TestRotationConcurrent(t *testing.T) {
	keys := map[uint32][]byte{1: keyOf(1, 16), 2: keyOf(2, 16)}
	f := newFilter(t, &aesgcm.Config{Keys: keys, Current: 1})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 200 {
				if i == 0 {
					if err := f.SetKeys(keys, uint32(1+n%2)); err != nil {
						t.Error(err)
					}
				}
				packed, err := f.OnPack([]byte("content"))
				if err != nil {
					t.Error(err)
				}
				if got, err := f.OnUnpack(packed); string(got) != "content" || err != nil {
					t.Errorf("got %q, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}

// A key packs no more than MaxPacked packets: not one more because others are set.
func TestExhausted(t *testing.T) {
	keys := map[uint32][]byte{1: keyOf(1, 16), 2: keyOf(2, 16)}
	f := newFilter(t, &aesgcm.Config{Keys: keys, Current: 1})
	filtertest.Pack(t, f, nil)
	if n := f.Packed(); n != 1 {
		t.Errorf("packed %d, want 1", n)
	}
	f.SetPacked(aesgcm.MaxPacked - 1)
	last := filtertest.Pack(t, f, []byte("last"))
	for range 3 {
		if got, err := f.OnPack(nil); got != nil || !errors.Is(err, aesgcm.ErrExhausted) {
			t.Errorf("got %x, %v, want %v", got, err, aesgcm.ErrExhausted)
		}
		if err := f.SetKeys(keys, 1); err != nil {
			t.Fatal(err)
		}
	}
	if n := f.Packed(); n != aesgcm.MaxPacked {
		t.Errorf("packed %d, want %d", n, uint64(aesgcm.MaxPacked))
	}
	if got, err := f.OnUnpack(last); string(got) != "last" || err != nil {
		t.Errorf("reading goes on: got %q, %v", got, err)
	}
	if err := f.SetKeys(keys, 2); err != nil {
		t.Fatal(err)
	}
	filtertest.Pack(t, f, nil)
	// It stays so for the key, whether it was away or gets another id.
	for _, step := range []struct {
		keys    map[uint32][]byte
		current uint32
		packed  uint64
	}{
		{map[uint32][]byte{2: keys[2]}, 2, 1},
		{keys, 1, aesgcm.MaxPacked},
		{map[uint32][]byte{3: keys[1]}, 3, aesgcm.MaxPacked},
		{map[uint32][]byte{1: keys[2]}, 1, 1},
		{map[uint32][]byte{1: keyOf(3, 16)}, 1, 0},
	} {
		if err := f.SetKeys(step.keys, step.current); err != nil {
			t.Fatal(err)
		}
		if n := f.Packed(); n != step.packed {
			t.Errorf("%v: packed %d, want %d", step.keys, n, step.packed)
		}
		if _, err := f.OnPack(nil); errors.Is(err, aesgcm.ErrExhausted) != (step.packed == aesgcm.MaxPacked) {
			t.Errorf("%v: got %v", step.keys, err)
		}
		if step.packed == 1 { // that was another packet
			f.SetPacked(1)
		}
	}
}
