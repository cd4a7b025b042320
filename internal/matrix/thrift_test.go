package matrix

import (
	"context"

	"github.com/apache/thrift/lib/go/thrift"
)

// text is a struct of thrift with one field, as its compiler makes them.
type text struct{ value string }

var _ thrift.TStruct = new(text)

func (x *text) Write(ctx context.Context, p thrift.TProtocol) error {
	for _, write := range []func() error{
		func() error { return p.WriteStructBegin(ctx, "text") },
		func() error { return p.WriteFieldBegin(ctx, "value", thrift.STRING, 1) },
		func() error { return p.WriteString(ctx, x.value) },
		func() error { return p.WriteFieldEnd(ctx) },
		func() error { return p.WriteFieldStop(ctx) },
		func() error { return p.WriteStructEnd(ctx) },
	} {
		if err := write(); err != nil {
			return err
		}
	}
	return nil
}

func (x *text) Read(ctx context.Context, p thrift.TProtocol) error {
	if _, err := p.ReadStructBegin(ctx); err != nil {
		return err
	}
	for {
		_, kind, id, err := p.ReadFieldBegin(ctx)
		switch {
		case err != nil:
			return err
		case kind == thrift.STOP:
			return p.ReadStructEnd(ctx)
		case id == 1 && kind == thrift.STRING:
			x.value, err = p.ReadString(ctx)
		default:
			err = p.Skip(ctx, kind)
		}
		if err != nil {
			return err
		}
	}
}
