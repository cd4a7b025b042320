package websocket_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/henrylee2cn/teleport/transport/websocket"
)

func TestServeScript(t *testing.T) {
	want, err := os.ReadFile("teleport.js")
	noError(t, err)
	w := httptest.NewRecorder()
	websocket.ServeScript(w, httptest.NewRequest(http.MethodGet, "/teleport.js", nil))
	equal(t, "status", w.Code, http.StatusOK)
	equal(t, "type", w.Header().Get("Content-Type"), "text/javascript; charset=utf-8")
	equal(t, "script", w.Body.String(), string(want))
}
