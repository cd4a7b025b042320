// Command tp is the server and the client of teleport, and its variants.
package main

import "github.com/henrylee2cn/teleport/bench/internal/process"

func main() {
	process.Child(
		Teleport{name: "tp"},
		Teleport{name: "tp-controller", controller: true},
		Teleport{name: "tp-inline", inline: true},
		Teleport{name: "tp-plugins", plugins: true},
	)
}
