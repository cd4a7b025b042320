// Command client is a terminal for samples/chat/server. Each line of standard
// input is said to the room; /who lists who is there, /quit leaves.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode"

	tp "github.com/henrylee2cn/teleport"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:9090", "address of the server")
	name := flag.String("name", os.Getenv("USER"), "your name in the room")
	flag.Parse()

	if rerr := run(*addr, *name); rerr != nil {
		tp.Fatalf("%v", rerr)
	}
}

func run(addr, name string) *tp.Rerror {
	peer := tp.NewPeer(&tp.PeerConfig{DefaultPullTimeout: 5 * time.Second})
	defer peer.Close() // what was said last is still sent

	// Handlers first: pushes may come as soon as the session is open.
	chat := peer.PushRouter.Group("chat")
	tp.RegPush(chat, "said", func(_ tp.PushCtx, line *[2]string) {
		fmt.Println(printable(line[0] + ": " + line[1]))
	})
	tp.RegPush(chat, "notice", func(_ tp.PushCtx, text *string) {
		fmt.Println(printable("* " + *text))
	})

	sess, rerr := peer.Dial(addr)
	if rerr != nil {
		return rerr
	}
	members, rerr := tp.Pull[[]string](sess, "/chat/join", name)
	if rerr != nil {
		return rerr
	}
	fmt.Println(printable("* here: " + strings.Join(members, ", ")))

	lines := readLines()
	for {
		select {
		case line, ok := <-lines:
			if !ok || line == "/quit" {
				return nil
			}
			if rerr := obey(sess, line); rerr != nil {
				return rerr
			}
		case <-sess.CloseNotify():
			fmt.Println("* the server has closed the connection")
			return nil
		}
	}
}

func obey(sess tp.Session, line string) *tp.Rerror {
	switch line {
	case "":
		return nil
	case "/who":
		members, rerr := tp.Pull[[]string](sess, "/chat/who", nil)
		if rerr != nil {
			return rerr
		}
		fmt.Println(printable("* here: " + strings.Join(members, ", ")))
		return nil
	}
	return sess.Push("/chat/say", line)
}

// readLines reads standard input in a goroutine of its own, since a read
// cannot wait for the session's end as well. It ends with the process.
func readLines() <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			lines <- in.Text()
		}
	}()
	return lines
}

// printable drops what would control the terminal: the text is a stranger's.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, text)
}
