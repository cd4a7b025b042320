package websocket

import (
	"bytes"
	_ "embed" // teleport.js
	"net/http"
	"time"
)

//go:embed teleport.js
var script []byte

// ServeScript answers with teleport.js, the client for browsers, an ES module:
//
//	mux.HandleFunc("/teleport.js", websocket.ServeScript)
func ServeScript(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache") // it must fit this server
	http.ServeContent(w, r, "teleport.js", time.Time{}, bytes.NewReader(script))
}
