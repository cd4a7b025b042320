// Package aesgcm is a transfer filter, 'a' unless another id is chosen, that
// encrypts packets with AES-GCM (NIST SP 800-38D), so that only who has the key can
// read one, and nobody else can make or change one. Keys have ids and can be
// replaced while the program runs. Since it needs keys, it is registered by hand:
//
//	filter, err := aesgcm.New(&aesgcm.Config{
//		Keys:    map[uint32][]byte{1: key}, // 16, 24 or 32 random bytes
//		Current: 1,
//	})
//	…
//	xfer.Reg(filter)
//	sess.Pull("/add", args, &sum, tp.WithXferPipe(aesgcm.ID))
//
// # What it is for, and what not
//
// It is for packets that pass through relays and gateways which must not read them,
// where TLS ends too early, and for bytes that are kept. Between two hosts take TLS:
// it also agrees on keys, knows who is there, and forbids what this filter, which
// sees one packet at a time, cannot:
//
//   - A packet that was sent can be sent again, later, out of order, or back to its
//     sender, and is valid each time: replay is not covered. Put a number or a time
//     into the body, and look at it, where that matters.
//   - Whoever can change packets can leave out the filter and write one without it. A
//     filter undoes what is there, it demands nothing: a plugin that looks at
//     Input().XferPipe().Ids() in a header hook does (see doc/filters.md).
//   - The size of a packet, the ids of its filters and the id of the key can be seen.
//     Compression inside of it (the ids 'a', 'g') tells more: where an attacker has a
//     say in a part of a packet, the size tells about the rest.
//
// # Keys and nonces
//
// Each packet has a nonce of 96 random bits. Two packets of one key with the same
// nonce would give both away, so that no more than 2^32 packets, by all programs
// together, may be packed with a key: the limit of SP 800-38D, which keeps the
// chance of that under 2^-32. A Filter counts its own (Packed), and refuses to
// pack more: ErrExhausted. With 1,000 packets a second that takes 50 days, with
// 100,000 half of one: so change the key, in three steps, each on all programs
// before the next: SetKeys with the next key besides, still the old one as Current;
// the next one as Current; without the old one.
package aesgcm

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/henrylee2cn/teleport/xfer"
)

// ID is the id of a filter whose Config names none.
const ID = 'a'

const (
	// keyIDLen is the length of the id of a key in front of a packet.
	keyIDLen = 4
	// sealLen is what sealing adds: a nonce of 12 bytes and a tag of 16.
	sealLen = 12 + 16
	// Overhead is how many bytes longer a packet becomes.
	Overhead = keyIDLen + sealLen
	// MaxPacked is how many packets a Filter packs with a key: 2^32.
	MaxPacked = 1 << 32
)

var (
	// ErrForged is wrapped by the error about a packet that was not packed so with
	// the key that it names: changed, cut off, or with other associated data.
	ErrForged = errors.New("aesgcm: the packet is not authentic")
	// ErrUnknownKey is wrapped by the error about a packet that names a key which
	// is not there.
	ErrUnknownKey = errors.New("aesgcm: unknown key")
	// ErrExhausted is wrapped by the error of OnPack after MaxPacked packets.
	ErrExhausted = errors.New("aesgcm: the key is used up")
)

// Config configures a Filter.
type Config struct {
	// Id is the id of the filter; 0 means ID. Filters with different keys, for
	// different peers, need different ids.
	Id byte
	// Keys are the keys by their ids: 16, 24 or 32 bytes for AES-128, -192 or -256,
	// which must be random, as crypto/rand makes them; a password is none. Packets
	// of any of them are read. It is copied.
	Keys map[uint32][]byte
	// Current is the id of the key to pack with, which Keys must have.
	Current uint32
	// AssociatedData is what both sides must have the same of, besides the key, and
	// which is not sent: what the packets are for, for instance. A packet of another
	// use of the key is refused then. None by default. It is copied.
	AssociatedData []byte
}

// Filter encrypts packets. A packet is
//
//	4 bytes   id of the key, big-endian
//	12 bytes  nonce
//	n bytes   the packet, encrypted
//	16 bytes  tag
//
// and the tag is also over the id of the key and, after it, the associated data.
//
// A Filter is safe for concurrent use, SetKeys included, and must not be copied.
type Filter struct {
	id   byte
	ad   []byte // room for the id of a key, then AssociatedData
	ring atomic.Pointer[ring]

	mu     sync.Mutex                           // one SetKeys at a time; protects following
	counts map[[sha256.Size]byte]*atomic.Uint64 // packed, of each key that there ever was, by its hash
}

var (
	_ xfer.XferFilter    = (*Filter)(nil)
	_ xfer.LimitUnpacker = (*Filter)(nil)
)

// ring is the keys of a time.
type ring struct {
	keys    map[uint32]*key
	current *key
}

type key struct {
	id     uint32
	aead   cipher.AEAD
	packed *atomic.Uint64
}

// New returns a Filter, or an error that names the field which is wrong. Register
// it with xfer.Reg.
func New(config *Config) (*Filter, error) {
	if config == nil {
		config = new(Config)
	}
	f := &Filter{id: config.Id, ad: append(make([]byte, keyIDLen), config.AssociatedData...)}
	if f.id == 0 {
		f.id = ID
	}
	if err := f.SetKeys(config.Keys, config.Current); err != nil {
		return nil, err
	}
	return f, nil
}

// SetKeys replaces the keys, and says which to pack with: see Config. Packets under
// way may still use the old ones. A key goes on counting where it was, also one that was
// away for a time or has another id now. After an error nothing has changed.
func (f *Filter) SetKeys(keys map[uint32][]byte, current uint32) error {
	if len(keys) == 0 {
		return errors.New("aesgcm: Keys: there is none: give one at least")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	counts := make(map[[sha256.Size]byte]*atomic.Uint64, len(f.counts)+len(keys))
	maps.Copy(counts, f.counts)
	next := &ring{keys: make(map[uint32]*key, len(keys))}
	for _, id := range slices.Sorted(maps.Keys(keys)) {
		secret := keys[id]
		block, err := aes.NewCipher(secret)
		if err != nil {
			return fmt.Errorf("aesgcm: Keys: key %d has %d bytes: give 16, 24 or 32", id, len(secret))
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return fmt.Errorf("aesgcm: Keys: key %d: %w", id, err)
		}
		hash := sha256.Sum256(secret)
		if counts[hash] == nil {
			counts[hash] = new(atomic.Uint64)
		}
		next.keys[id] = &key{id: id, aead: aead, packed: counts[hash]}
	}
	if next.current = next.keys[current]; next.current == nil {
		return fmt.Errorf("aesgcm: Current: there is no key %d in Keys", current)
	}
	f.counts = counts
	f.ring.Store(next)
	return nil
}

// Packed returns how many packets this Filter has packed with its current key.
func (f *Filter) Packed() uint64 { return f.ring.Load().current.packed.Load() }

// Id returns the id of the filter.
func (f *Filter) Id() byte { return f.id }

// OnPack returns src encrypted with the current key. It fails with an error that
// wraps ErrExhausted when that has been used MaxPacked times.
func (f *Filter) OnPack(src []byte) ([]byte, error) {
	k := f.ring.Load().current
	if k.packed.Add(1) > MaxPacked {
		k.packed.Store(MaxPacked) // not to begin at 0 again one day
		return nil, fmt.Errorf("%w: key %d has packed %d packets: replace it with SetKeys", ErrExhausted, k.id, uint64(MaxPacked))
	}
	dst := binary.BigEndian.AppendUint32(make([]byte, 0, len(src)+Overhead), k.id)
	return k.aead.Seal(dst, nil, src, f.data(k.id)), nil
}

// OnUnpack returns what was packed to make src, with any of the keys.
func (f *Filter) OnUnpack(src []byte) ([]byte, error) {
	if len(src) < Overhead {
		return nil, fmt.Errorf("%w: it has %d bytes, and needs %d at least", ErrForged, len(src), Overhead)
	}
	id := binary.BigEndian.Uint32(src)
	k := f.ring.Load().keys[id]
	if k == nil {
		return nil, fmt.Errorf("%w: there is no key %d", ErrUnknownKey, id)
	}
	dst, err := k.aead.Open(make([]byte, 0, len(src)-Overhead), nil, src[keyIDLen:], f.data(id))
	if err != nil {
		return nil, ErrForged
	}
	return dst, nil
}

// OnUnpackLimit is OnUnpack for a result of at most max bytes.
func (f *Filter) OnUnpackLimit(src []byte, max int) ([]byte, error) {
	if n := len(src) - Overhead; n > max {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are allowed", xfer.ErrExceedLimit, n, max)
	}
	return f.OnUnpack(src)
}

// data returns what the tag is over besides the packet.
func (f *Filter) data(id uint32) []byte {
	if len(f.ad) == keyIDLen {
		return binary.BigEndian.AppendUint32(nil, id)
	}
	ad := slices.Clone(f.ad)
	binary.BigEndian.PutUint32(ad, id)
	return ad
}
