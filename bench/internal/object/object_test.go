package object_test

import (
	"encoding/json"
	"testing"

	"github.com/henrylee2cn/teleport/bench/internal/object"
)

func TestSampleIsAboutOneKilobyte(t *testing.T) {
	b, err := json.Marshal(object.Sample())
	if err != nil {
		t.Fatal(err)
	}
	if len(b) < 950 || len(b) > 1100 {
		t.Errorf("it encodes to %d bytes", len(b))
	}
	var back object.Order
	if err := json.Unmarshal(b, &back); err != nil || !back.Equal(object.Sample()) {
		t.Errorf("got back %+v, %v", back, err)
	}
}
