package otel_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/otel"
	"github.com/henrylee2cn/teleport/tptest"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// readings returns the values of all metrics by name and attributes; of a histogram it
// is the count.
func readings(t testing.TB, reader *sdkmetric.ManualReader) map[string]float64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					values[m.Name+textOf(p.Attributes)] = float64(p.Count)
				}
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					values[m.Name+textOf(p.Attributes)] = float64(p.Value)
				}
			default:
				t.Errorf("%s is a %T", m.Name, data)
			}
		}
	}
	return values
}

func textOf(set attribute.Set) string {
	var text []string
	for _, a := range set.ToSlice() {
		text = append(text, fmt.Sprintf("%s=%s", a.Key, a.Value.String()))
	}
	slices.Sort(text)
	return " " + strings.Join(text, " ")
}

func awaitReadings(t testing.TB, reader *sdkmetric.ManualReader, want map[string]float64) {
	t.Helper()
	var got map[string]float64
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if got = readings(t, reader); maps.Equal(got, want) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("\ngot  %v\nwant %v", got, want)
		}
	}
}

func TestMetrics(t *testing.T) {
	atServer, atClient := sdkmetric.NewManualReader(), sdkmetric.NewManualReader()
	pluginWith := func(r sdkmetric.Reader) *otel.Plugin {
		return otel.New(otel.Config{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(r))})
	}
	plugin := pluginWith(atServer)
	server := quiet(t, tp.PeerConfig{MaxSessionHandlers: 1}, plugin)
	running, release := make(chan struct{}), make(chan struct{})
	tp.RegPull(server.PullRouter, "wait", func(tp.PullCtx, *int) (int, *tp.Rerror) {
		close(running)
		<-release
		return 1, nil
	})
	tp.RegPush(server.PushRouter, "note", func(tp.PushCtx, *int) {})
	client := quiet(t, tp.PeerConfig{}, pluginWith(atClient))
	sess, _ := tptest.Pair(t, client, server)
	done := make(chan *tp.PullCmd, 1)
	sess.GoPull("/wait", 1, nil, done)
	<-running
	awaitReadings(t, atServer, map[string]float64{
		"teleport.sessions ": 1, "teleport.sessions.opening ": 0, "teleport.handlers ": 1, "teleport.write_queue ": 0,
	})
	sess.Pull("/nowhere/1", 1, nil)
	close(release)
	<-done
	for end := time.Now().Add(patience); server.Stats().Handlers > 0; time.Sleep(time.Millisecond) { // its reply comes before its end
		if time.Now().After(end) {
			t.Fatal("the handler does not end")
		}
	}
	sess.Pull("/nowhere/2", 1, nil)
	if rerr := sess.Push("/note", 1); rerr != nil {
		t.Fatal(rerr)
	}
	awaitReadings(t, atServer, map[string]float64{
		"teleport.sessions ": 1, "teleport.sessions.opening ": 0, "teleport.handlers ": 0, "teleport.write_queue ": 0,
		"teleport.refused reason=handlers": 1,
		"rpc.server.call.duration rpc.method=/wait rpc.system.name=teleport teleport.kind=pull":                                              1,
		"rpc.server.call.duration error.type=503 rpc.method=_OTHER rpc.response.status_code=503 rpc.system.name=teleport teleport.kind=pull": 1,
		"rpc.server.call.duration error.type=404 rpc.method=_OTHER rpc.response.status_code=404 rpc.system.name=teleport teleport.kind=pull": 1,
		"rpc.server.call.duration rpc.method=/note rpc.system.name=teleport teleport.kind=push":                                              1,
	})
	awaitReadings(t, atClient, map[string]float64{
		"teleport.sessions ": 1, "teleport.sessions.opening ": 0, "teleport.handlers ": 0, "teleport.write_queue ": 0,
		"rpc.client.call.duration rpc.method=/wait rpc.system.name=teleport teleport.kind=pull":                                                  1,
		"rpc.client.call.duration error.type=503 rpc.method=/nowhere/1 rpc.response.status_code=503 rpc.system.name=teleport teleport.kind=pull": 1,
		"rpc.client.call.duration error.type=404 rpc.method=/nowhere/2 rpc.response.status_code=404 rpc.system.name=teleport teleport.kind=pull": 1,
		"rpc.client.call.duration rpc.method=/note rpc.system.name=teleport teleport.kind=push":                                                  1,
	})
	for range 2 {
		if err := plugin.Unregister(); err != nil {
			t.Error(err)
		}
	}
	for name := range readings(t, atServer) {
		if strings.HasPrefix(name, "teleport.") {
			t.Errorf("after Unregister there is %s", name)
		}
	}
}
