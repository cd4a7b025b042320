package prometheus_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/prometheus"
	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// A peer whose metrics are scraped over HTTP.
func Example() {
	registry := prom.NewRegistry() // or none, for prometheus.DefaultRegisterer
	metrics, err := prometheus.New(prometheus.Config{Registerer: registry})
	if err != nil {
		fmt.Println(err)
		return
	}
	server := tp.NewPeer(&tp.PeerConfig{}, metrics)
	tp.RegPull(server.PullRouter, "greet", func(_ tp.PullCtx, name *string) (string, *tp.Rerror) {
		return "Hello, " + *name + "!", nil
	})
	web := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	defer web.Close()

	client := tp.NewPeer(&tp.PeerConfig{})
	here, there := net.Pipe()
	served := make(chan tp.Session, 1)
	go func() { served <- server.ServeConn(there) }()
	fmt.Println(tp.Pull[string](client.ServeConn(here), "/greet", "Ann"))
	<-served
	_ = client.Close()
	_ = server.Close()

	res, err := http.Get(web.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	text, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, "tp_exchanges_total") {
			fmt.Println(line)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	// Output:
	// Hello, Ann! <nil>
	// tp_exchanges_total{code="ok",direction="handled",kind="pull",route="/greet"} 1
}
