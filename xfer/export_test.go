package xfer

// Unreg removes the filter with the id, for tests that register some.
func Unreg(id byte) {
	registry[id].Store(nil)
}
