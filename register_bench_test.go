package tp

import "testing"

// Calls is a controller.
type Calls struct{ PullCtx }

// Echo returns what it is given.
func (*Calls) Echo(args *[2]int) ([2]int, *Rerror) { return *args, nil }

// BenchmarkHandlerCall makes the args of a handler and calls it, by reflection and typed.
func BenchmarkHandlerCall(b *testing.B) {
	echo := func(_ PullCtx, args *[2]int) ([2]int, *Rerror) { return *args, nil }
	for _, kind := range []struct {
		name string
		reg  func(*Router)
	}{
		{"controller", func(r *Router) { r.Reg(new(Calls)) }},
		{"func", func(r *Router) { r.RegFunc("echo", echo) }},
		{"typed", func(r *Router) { RegPull(r, "echo", echo) }},
	} {
		b.Run(kind.name, func(b *testing.B) {
			p := benchPeer(b)
			kind.reg(p.PullRouter)
			h, c := p.PullRouter.Handlers()[0], benchCtx()
			b.ReportAllocs()
			for b.Loop() {
				if _, rerr := h.call(c, h.newArg()); rerr != nil {
					b.Fatal(rerr)
				}
			}
		})
	}
}
