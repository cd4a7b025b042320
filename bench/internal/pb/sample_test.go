package pb_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/henrylee2cn/teleport/bench/internal/pb"
)

func TestSampleIsAsLargeAsThePayload(t *testing.T) {
	if n := proto.Size(pb.Sample()); n != 581 {
		t.Errorf("it encodes to %d bytes", n)
	}
}

func TestSampleSetsEachField(t *testing.T) {
	m := pb.Sample().ProtoReflect()
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		if f := fields.Get(i); !m.Has(f) {
			t.Errorf("%s is not set", f.Name())
		}
	}
}
