// Command drpc is the server and the client of storj.io/drpc.
package main

import "github.com/henrylee2cn/teleport/bench/internal/process"

func main() { process.Child(DRPC{}) }
