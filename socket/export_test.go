package socket

// OnReadAttempt lets fn know, in the goroutine that reads, how each attempt
// to read from the kernel went: whether there was anything, and whether the
// Conn holds a buffer now. If there was nothing, the Conn waits next.
func (c *Conn) OnReadAttempt(fn func(ready, buffered bool)) {
	readReady := c.in.ready
	c.in.ready = func(fd uintptr) bool {
		ready := readReady(fd)
		fn(ready, c.in.buf != nil)
		return ready
	}
}
