// Command nats is the server and the client of NATS.
package main

import "github.com/henrylee2cn/teleport/bench/internal/process"

func main() { process.Child(NATS{}) }
