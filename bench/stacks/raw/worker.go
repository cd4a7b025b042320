package main

import "net"

// echoByWorker hands each frame to another goroutine, which sends the reply, as a server
// must whose handlers may block. It is for callers who have a connection each: the
// replies do not gather.
func echoByWorker(conn net.Conn) error {
	frames, written := make(chan []byte, 1), make(chan []byte, 1)
	defer close(frames)
	go func() {
		for frame := range frames {
			if _, err := conn.Write(frame); err != nil {
				_ = conn.Close() // so that the reader ends
			}
			written <- frame
		}
	}()
	in := reader{conn: conn, buf: make([]byte, bufferSize)}
	written <- nil
	for {
		if err := in.fill(); err != nil {
			return err
		}
		for {
			seq, payload, ok := in.next()
			if !ok {
				break
			}
			frames <- appendFrame((<-written)[:0], seq, payload)
		}
	}
}
