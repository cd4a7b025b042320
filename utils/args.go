package utils

// minChunk is the least number of bytes that an Args allocates at a time for
// keys and values that are added singly.
const minChunk = 64

// maxKeptPairs bounds the list that Reset keeps for reuse.
const maxKeptPairs = 256

// noCopy lets go vet find an Args that is copied by value.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}

// pair is one key with its value; neither is nil.
type pair struct {
	key   []byte
	value []byte
}

// Args is an ordered list of key/value pairs in which a key may occur more
// than once. Keys are case-sensitive; keys and values are any bytes, and both
// may be empty.
//
// Any number of goroutines may read an Args at the same time; changing it
// needs exclusive use. The zero value is an empty Args, ready for use, which
// owns no memory. An Args must not be copied by value: use CopyTo.
//
// An Args copies what it is given and never writes over bytes that it has
// stored. So a slice that Peek, PeekMulti or VisitAll returned keeps its
// content even after Set, Del, Reset or ReleaseArgs, but the caller must not
// write to it.
type Args struct {
	_     noCopy
	pairs []pair
	// free is the unused rest of the last chunk: length 0, capacity what is
	// left. Stored bytes are cut from its front and never touched again.
	free []byte
}

// AcquireArgs returns an empty Args. It is the same as new(Args), and exists
// for programs that pair it with ReleaseArgs: no Args comes from a pool.
func AcquireArgs() *Args {
	return new(Args)
}

// ReleaseArgs resets a, which may be nil. The Args is not handed to anybody
// else, so using it afterwards is harmless.
func ReleaseArgs(a *Args) {
	if a != nil {
		a.Reset()
	}
}

// Reset removes all pairs.
func (a *Args) Reset() {
	if cap(a.pairs) > maxKeptPairs {
		a.pairs = nil
		return
	}
	clear(a.pairs)
	a.pairs = a.pairs[:0]
}

// CopyTo replaces the content of dst by a copy of a, which shares no memory
// with a. Copying an Args to itself changes nothing.
func (a *Args) CopyTo(dst *Args) {
	if dst == a {
		return
	}
	dst.Reset()
	if len(a.pairs) == 0 {
		return
	}
	size := 0
	for i := range a.pairs {
		size += len(a.pairs[i].key) + len(a.pairs[i].value)
	}
	dst.reserve(size)
	if cap(dst.pairs) < len(a.pairs) {
		dst.pairs = make([]pair, 0, len(a.pairs))
	}
	for i := range a.pairs {
		dst.AddBytesKV(a.pairs[i].key, a.pairs[i].value)
	}
}

// Len returns the number of pairs.
func (a *Args) Len() int {
	return len(a.pairs)
}

// VisitAll calls f for every pair in order. f must neither change a nor write
// to key and value, which it may keep.
func (a *Args) VisitAll(f func(key, value []byte)) {
	for i := range a.pairs {
		f(a.pairs[i].key, a.pairs[i].value)
	}
}

// Add appends the pair key=value, also when key is already there.
func (a *Args) Add(key, value string) {
	a.pairs = append(a.pairs, pair{store(a, key), store(a, value)})
}

// AddBytesK is Add with the key as bytes.
func (a *Args) AddBytesK(key []byte, value string) {
	a.pairs = append(a.pairs, pair{store(a, key), store(a, value)})
}

// AddBytesV is Add with the value as bytes.
func (a *Args) AddBytesV(key string, value []byte) {
	a.pairs = append(a.pairs, pair{store(a, key), store(a, value)})
}

// AddBytesKV is Add with key and value as bytes.
func (a *Args) AddBytesKV(key, value []byte) {
	a.pairs = append(a.pairs, pair{store(a, key), store(a, value)})
}

// Set makes key=value the only pair with that key: it takes the place of the
// first one, the others are removed, and without any it is appended.
func (a *Args) Set(key, value string) {
	set(a, key, value)
}

// SetBytesK is Set with the key as bytes.
func (a *Args) SetBytesK(key []byte, value string) {
	set(a, key, value)
}

// SetBytesV is Set with the value as bytes.
func (a *Args) SetBytesV(key string, value []byte) {
	set(a, key, value)
}

// SetBytesKV is Set with key and value as bytes.
func (a *Args) SetBytesKV(key, value []byte) {
	set(a, key, value)
}

// Del removes every pair with the key and keeps the order of the others.
func (a *Args) Del(key string) {
	a.pairs = removeFrom(a.pairs, 0, key)
}

// DelBytes is Del with the key as bytes.
func (a *Args) DelBytes(key []byte) {
	a.pairs = removeFrom(a.pairs, 0, key)
}

// Has reports whether there is a pair with the key.
func (a *Args) Has(key string) bool {
	return indexOf(a.pairs, key) >= 0
}

// HasBytes is Has with the key as bytes.
func (a *Args) HasBytes(key []byte) bool {
	return indexOf(a.pairs, key) >= 0
}

// Peek returns the value of the first pair with the key, or nil if there is
// none; an empty value is not nil. The caller must not write to the result,
// and may keep it.
func (a *Args) Peek(key string) []byte {
	return peek(a, key)
}

// PeekBytes is Peek with the key as bytes.
func (a *Args) PeekBytes(key []byte) []byte {
	return peek(a, key)
}

// PeekMulti returns the values of all pairs with the key, in order, or nil if
// there is none. The list belongs to the caller; the values are as in Peek.
func (a *Args) PeekMulti(key string) [][]byte {
	return peekMulti(a, key)
}

// PeekMultiBytes is PeekMulti with the key as bytes.
func (a *Args) PeekMultiBytes(key []byte) [][]byte {
	return peekMulti(a, key)
}

// reserve makes the next n stored bytes come from one chunk.
func (a *Args) reserve(n int) {
	if cap(a.free) < n {
		a.free = make([]byte, 0, n)
	}
}

// store copies s into a and returns the copy, which is never nil and has no
// spare capacity.
func store[T string | []byte](a *Args, s T) []byte {
	n := len(s)
	if n == 0 {
		return []byte{}
	}
	if cap(a.free) < n {
		a.free = make([]byte, 0, max(n, minChunk))
	}
	kept := append(a.free, s...)
	a.free = kept[n:]
	return kept[:n:n]
}

func set[K, V string | []byte](a *Args, key K, value V) {
	i := indexOf(a.pairs, key)
	if i < 0 {
		a.pairs = append(a.pairs, pair{store(a, key), store(a, value)})
		return
	}
	a.pairs[i].value = store(a, value)
	a.pairs = removeFrom(a.pairs, i+1, key)
}

func peek[K string | []byte](a *Args, key K) []byte {
	if i := indexOf(a.pairs, key); i >= 0 {
		return a.pairs[i].value
	}
	return nil
}

func peekMulti[K string | []byte](a *Args, key K) [][]byte {
	var values [][]byte
	for i := range a.pairs {
		if string(a.pairs[i].key) == string(key) {
			values = append(values, a.pairs[i].value)
		}
	}
	return values
}

func indexOf[K string | []byte](pairs []pair, key K) int {
	for i := range pairs {
		if string(pairs[i].key) == string(key) {
			return i
		}
	}
	return -1
}

// removeFrom removes the pairs with the key from index start on.
func removeFrom[K string | []byte](pairs []pair, start int, key K) []pair {
	kept := pairs[:start]
	for _, p := range pairs[start:] {
		if string(p.key) != string(key) {
			kept = append(kept, p)
		}
	}
	clear(pairs[len(kept):])
	return kept
}
