// Command raw is the server and the client of the limit: frames on a TCP connection, and nothing else.
package main

import "github.com/henrylee2cn/teleport/bench/internal/process"

func main() { process.Child(Raw{}, Raw{worker: true}) }
