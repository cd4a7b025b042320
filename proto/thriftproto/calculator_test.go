package thriftproto_test

import (
	"context"
	"fmt"

	"github.com/apache/thrift/lib/go/thrift"
)

// What the thrift compiler would make of this, in short:
//
//	service Calculator {
//		i32 add(1: i32 a, 2: i32 b)
//		string echo(1: string text)
//		oneway void note(1: string text)
//	}

// addArgs are the arguments of add.
type addArgs struct{ A, B int32 }

func (s *addArgs) Read(ctx context.Context, p thrift.TProtocol) error {
	return readFields(ctx, p, map[int16]func() error{
		1: func() (err error) { s.A, err = p.ReadI32(ctx); return err },
		2: func() (err error) { s.B, err = p.ReadI32(ctx); return err },
	})
}

func (s *addArgs) Write(ctx context.Context, p thrift.TProtocol) error {
	return writeFields(ctx, p,
		field{1, thrift.I32, func() error { return p.WriteI32(ctx, s.A) }},
		field{2, thrift.I32, func() error { return p.WriteI32(ctx, s.B) }})
}

// addResult is the result of add.
type addResult struct{ Success *int32 }

func (s *addResult) Read(ctx context.Context, p thrift.TProtocol) error {
	return readFields(ctx, p, map[int16]func() error{0: func() error {
		v, err := p.ReadI32(ctx)
		s.Success = &v
		return err
	}})
}

func (s *addResult) Write(ctx context.Context, p thrift.TProtocol) error {
	if s.Success == nil {
		return writeFields(ctx, p)
	}
	return writeFields(ctx, p, field{0, thrift.I32, func() error { return p.WriteI32(ctx, *s.Success) }})
}

// textArgs are the arguments of echo and note, and textResult the result of echo.
type (
	textArgs   struct{ Text string }
	textResult struct{ Success string }
)

func (s *textArgs) Read(ctx context.Context, p thrift.TProtocol) error {
	return readFields(ctx, p, map[int16]func() error{1: func() (err error) { s.Text, err = p.ReadString(ctx); return err }})
}

func (s *textArgs) Write(ctx context.Context, p thrift.TProtocol) error {
	return writeFields(ctx, p, field{1, thrift.STRING, func() error { return p.WriteString(ctx, s.Text) }})
}

func (s *textResult) Read(ctx context.Context, p thrift.TProtocol) error {
	return readFields(ctx, p, map[int16]func() error{0: func() (err error) { s.Success, err = p.ReadString(ctx); return err }})
}

func (s *textResult) Write(ctx context.Context, p thrift.TProtocol) error {
	return writeFields(ctx, p, field{0, thrift.STRING, func() error { return p.WriteString(ctx, s.Success) }})
}

// field is one to write.
type field struct {
	id    int16
	kind  thrift.TType
	write func() error
}

func writeFields(ctx context.Context, p thrift.TProtocol, fields ...field) error {
	if err := p.WriteStructBegin(ctx, ""); err != nil {
		return err
	}
	for _, f := range fields {
		if err := p.WriteFieldBegin(ctx, "", f.kind, f.id); err != nil {
			return err
		}
		if err := f.write(); err != nil {
			return err
		}
		if err := p.WriteFieldEnd(ctx); err != nil {
			return err
		}
	}
	if err := p.WriteFieldStop(ctx); err != nil {
		return err
	}
	return p.WriteStructEnd(ctx)
}

func readFields(ctx context.Context, p thrift.TProtocol, fields map[int16]func() error) error {
	if _, err := p.ReadStructBegin(ctx); err != nil {
		return err
	}
	for {
		_, kind, id, err := p.ReadFieldBegin(ctx)
		if err != nil {
			return err
		}
		if kind == thrift.STOP {
			return p.ReadStructEnd(ctx)
		}
		read := fields[id]
		if read == nil {
			read = func() error { return p.Skip(ctx, kind) }
		}
		if err := read(); err != nil {
			return err
		}
		if err := p.ReadFieldEnd(ctx); err != nil {
			return err
		}
	}
}

// calculator is a thrift server of the service, as the thrift compiler makes one.
type calculator struct{ noted chan string }

func (c *calculator) ProcessorMap() map[string]thrift.TProcessorFunction  { return nil }
func (c *calculator) AddToProcessorMap(string, thrift.TProcessorFunction) {}

func (c *calculator) Process(ctx context.Context, in, out thrift.TProtocol) (bool, thrift.TException) {
	name, _, seq, err := in.ReadMessageBegin(ctx)
	if err != nil {
		return false, thrift.WrapTException(err)
	}
	kind := thrift.REPLY
	var result thrift.TStruct
	switch name {
	case "add":
		var args addArgs
		err = args.Read(ctx, in)
		sum := args.A + args.B
		result = &addResult{&sum}
	case "echo":
		var args textArgs
		err = args.Read(ctx, in)
		result = &textResult{args.Text}
		if token, ok := thrift.GetHeader(ctx, "token"); ok { // of a client with headers
			result = &textResult{args.Text + token}
		}
	case "note":
		var args textArgs
		err = args.Read(ctx, in)
		c.noted <- args.Text
	default:
		err = in.Skip(ctx, thrift.STRUCT)
		kind = thrift.EXCEPTION
		result = thrift.NewTApplicationException(thrift.UNKNOWN_METHOD, fmt.Sprintf("no method %q", name)).(thrift.TStruct)
	}
	if err == nil {
		err = in.ReadMessageEnd(ctx)
	}
	if err != nil || result == nil {
		return err == nil, thrift.WrapTException(err)
	}
	for _, step := range []func() error{
		func() error { return out.WriteMessageBegin(ctx, name, kind, seq) },
		func() error { return result.Write(ctx, out) },
		func() error { return out.WriteMessageEnd(ctx) },
		func() error { return out.Flush(ctx) },
	} {
		if err := step(); err != nil {
			return false, thrift.WrapTException(err)
		}
	}
	return true, nil
}
