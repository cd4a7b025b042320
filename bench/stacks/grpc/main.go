// Command grpc is the server and the client of google.golang.org/grpc.
package main

import "github.com/henrylee2cn/teleport/bench/internal/process"

func main() { process.Child(GRPC{}) }
