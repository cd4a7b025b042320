package configformats

import (
	"reflect"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"gopkg.in/ini.v1"
	"gopkg.in/yaml.v3"
)

var want = tp.PeerConfig{
	DefaultReadTimeout: 5 * time.Minute,
	SlowCometDuration:  500 * time.Millisecond,
	CloseTimeout:       -1,
	DefaultBodyCodec:   "json",
	PrintBody:          true,
	ListenAddrs:        []string{"0.0.0.0:9090", "0.0.0.0:9091"},
	PacketSizeLimit:    1 << 20,
	UriSizeLimit:       2048,
	MetaSizeLimit:      -1,
	AllowedFilters:     []string{"g", "0x05"},
	MaxHandlers:        -1,
}

func TestYAML(t *testing.T) {
	var got tp.PeerConfig
	err := yaml.Unmarshal([]byte(`
default_read_timeout: 5m
slow_comet_duration: 500ms
close_timeout: -1ns
default_body_codec: json
print_body: true
listen_addrs:
  - 0.0.0.0:9090
  - 0.0.0.0:9091
packet_size_limit: 1048576
uri_size_limit: 2048
meta_size_limit: -1
allowed_filters: [g, "0x05"]
max_handlers: -1
`), &got)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	text, err := yaml.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	var again tp.PeerConfig
	if err := yaml.Unmarshal(text, &again); err != nil || !reflect.DeepEqual(again, want) {
		t.Errorf("there and back: %+v, %v, from\n%s", again, err, text)
	}
}

// ini.v1 drops a negative duration that has a unit, without an error; as a
// number of nanoseconds it is read.
func TestINI(t *testing.T) {
	file, err := ini.Load([]byte(`
[peer]
default_read_timeout = 5m
slow_comet_duration = 500ms
close_timeout = -1
default_body_codec = json
print_body = true
listen_addrs = 0.0.0.0:9090, 0.0.0.0:9091
packet_size_limit = 1048576
uri_size_limit = 2048
meta_size_limit = -1
allowed_filters = g, 0x05
max_handlers = -1
`))
	if err != nil {
		t.Fatal(err)
	}
	var got tp.PeerConfig
	if err := file.Section("peer").MapTo(&got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	written := ini.Empty()
	if err := written.Section("peer").ReflectFrom(&got); err != nil {
		t.Fatal(err)
	}
	written.Section("peer").Key("close_timeout").SetValue("-1") // it was written as -1ns
	var again tp.PeerConfig
	if err := written.Section("peer").MapTo(&again); err != nil || !reflect.DeepEqual(again, want) {
		t.Errorf("there and back: %+v, %v", again, err)
	}
}
