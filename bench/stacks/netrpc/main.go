// Command netrpc is the server and the client of net/rpc.
package main

import "github.com/henrylee2cn/teleport/bench/internal/process"

func main() { process.Child(NetRPC{}) }
