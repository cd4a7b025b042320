package tp

import (
	"fmt"
	"path"
	"reflect"
	"strings"

	"github.com/henrylee2cn/goutil"
)

var (
	pullCtxType = reflect.TypeFor[PullCtx]()
	pushCtxType = reflect.TypeFor[PushCtx]()
	rerrorType  = reflect.TypeFor[*Rerror]()
	bytesType   = reflect.TypeFor[[]byte]()
	anyType     = reflect.TypeFor[interface{}]()
)

// makeControllerHandlers makes a handler of each method of a controller.
func makeControllerHandlers(isPull bool) HandlersMaker {
	return func(prefix string, ctrl interface{}, _ PluginContainer) ([]*Handler, error) {
		ptr := reflect.ValueOf(ctrl)
		if ptr.Kind() != reflect.Pointer || ptr.IsNil() || ptr.Elem().Kind() != reflect.Struct {
			return nil, fmt.Errorf("the controller is %s: pass a pointer to a struct, as in Reg(new(Home))", describe(ctrl))
		}
		typ := ptr.Elem().Type()
		if typ.Name() == "" {
			return nil, fmt.Errorf("the controller's struct has no name, so its path has none: declare a type")
		}
		at, err := findContext(typ, contextType(isPull))
		if err != nil {
			if _, other := findContext(typ, contextType(!isPull)); other == nil {
				err = fmt.Errorf("%w; it embeds %s: register it in the other router", err, contextType(!isPull))
			}
			return nil, fmt.Errorf("controller %s: %w", typ, err)
		}
		factory := newControllerFactory(ptr.Elem(), at)
		prefix = path.Join(prefix, goutil.SnakeString(typ.Name()))
		var handlers []*Handler
		for i := 0; i < ptr.Type().NumMethod(); i++ {
			method := ptr.Type().Method(i)
			if _, ofContext := contextType(isPull).MethodByName(method.Name); ofContext {
				continue
			}
			h, err := makeMethodHandler(isPull, method, factory)
			if err != nil {
				return nil, fmt.Errorf("method %s of controller %s: %w", method.Name, typ, err)
			}
			h.name = path.Join(prefix, goutil.SnakeString(method.Name))
			handlers = append(handlers, h)
		}
		if len(handlers) == 0 {
			return nil, fmt.Errorf("controller %s has no exported method that could be a handler", typ)
		}
		return handlers, nil
	}
}

func contextType(isPull bool) reflect.Type {
	if isPull {
		return pullCtxType
	}
	return pushCtxType
}

// wantShape says what a handler must look like.
func wantShape(isPull bool) string {
	if isPull {
		return "(args *A) (R, *tp.Rerror)"
	}
	return "(args *A) without results"
}

func makeMethodHandler(isPull bool, method reflect.Method, factory *controllerFactory) (*Handler, error) {
	h, err := makeHandler(isPull, method.Type)
	if err != nil {
		return nil, fmt.Errorf("%w; give it that shape, or make it unexported", err)
	}
	h.call = reflectCall(method.Func, factory.make)
	return h, nil
}

// makeFuncHandler makes the handler of a function.
func makeFuncHandler(isPull bool) HandlersMaker {
	return func(name string, what interface{}, _ PluginContainer) ([]*Handler, error) {
		fn := reflect.ValueOf(what)
		if fn.Kind() != reflect.Func || fn.IsNil() {
			return nil, fmt.Errorf("it is %s: RegFunc takes a func(ctx %s, %s", describe(what), contextType(isPull), strings.TrimPrefix(wantShape(isPull), "("))
		}
		if fn.Type().NumIn() != 2 || fn.Type().In(0) != contextType(isPull) {
			return nil, fmt.Errorf("%s: the first parameter must be a %s, the rest %s", fn.Type(), contextType(isPull), wantShape(isPull))
		}
		h, err := makeHandler(isPull, fn.Type())
		if err != nil {
			return nil, err
		}
		h.name = name
		h.call = reflectCall(fn, contextValue(isPull))
		return []*Handler{h}, nil
	}
}

// contextValue returns what makes the first argument of a function. It is of
// the interface's type already: reflect would look for all its methods in each
// call.
func contextValue(isPull bool) func(*handlerCtx) reflect.Value {
	if isPull {
		return func(c *handlerCtx) reflect.Value {
			ctx := PullCtx(c)
			return reflect.ValueOf(&ctx).Elem()
		}
	}
	return func(c *handlerCtx) reflect.Value {
		ctx := PushCtx(c)
		return reflect.ValueOf(&ctx).Elem()
	}
}

// makeHandler checks the shape of fn, whose first parameter is the receiver
// or the context.
func makeHandler(isPull bool, fn reflect.Type) (*Handler, error) {
	fits := fn.NumIn() == 2 && !fn.IsVariadic() && fn.In(1).Kind() == reflect.Pointer
	if isPull {
		fits = fits && fn.NumOut() == 2 && fn.Out(1) == rerrorType
	} else {
		fits = fits && fn.NumOut() == 0
	}
	if !fits {
		return nil, fmt.Errorf("it is a %s, a handler is %s", fn, wantShape(isPull))
	}
	argElem := fn.In(1).Elem()
	h := &Handler{argElem: argElem}
	if argElem != bytesType {
		h.newArg = func() interface{} { return reflect.New(argElem).Interface() }
	}
	if isPull {
		h.replyType = fn.Out(0)
	}
	return h, nil
}

// reflectCall returns the call of fn, a method or a function, whose first
// parameter is what first makes of the context.
func reflectCall(fn reflect.Value, first func(*handlerCtx) reflect.Value) func(*handlerCtx, interface{}) (interface{}, *Rerror) {
	want := reflect.PointerTo(fn.Type().In(1).Elem()) // the parameter may be of a named pointer type
	return func(c *handlerCtx, arg interface{}) (interface{}, *Rerror) {
		if reflect.TypeOf(arg) != want {
			return nil, c.wrongBody(want)
		}
		return results(fn.Call([]reflect.Value{first(c), reflect.ValueOf(arg)}))
	}
}

func results(out []reflect.Value) (interface{}, *Rerror) {
	if len(out) == 0 {
		return nil, nil
	}
	rerr, _ := out[1].Interface().(*Rerror)
	return out[0].Interface(), rerr
}

// makeUnknownHandler makes the handler of unknown paths of a group.
func makeUnknownHandler(isPull bool) HandlersMaker {
	return func(group string, what interface{}, _ PluginContainer) ([]*Handler, error) {
		call, err := unknownCall(isPull, what)
		if err != nil {
			return nil, err
		}
		h := &Handler{name: group, isUnknown: true, argElem: bytesType}
		if isPull {
			h.replyType = anyType
		}
		h.call = func(c *handlerCtx, arg interface{}) (interface{}, *Rerror) {
			body, ok := arg.(*[]byte)
			if !ok {
				return nil, c.wrongBody(reflect.PointerTo(bytesType))
			}
			return call(c, body)
		}
		return []*Handler{h}, nil
	}
}

type unknownFunc func(c *handlerCtx, body *[]byte) (interface{}, *Rerror)

// unknownCall accepts the four forms of SetUnknown, and named types of them.
func unknownCall(isPull bool, what interface{}) (unknownFunc, error) {
	v := reflect.ValueOf(what)
	if v.Kind() == reflect.Func && !v.IsNil() {
		if isPull {
			if fn, ok := as[func(UnknownPullCtx) (interface{}, *Rerror)](v); ok {
				return func(c *handlerCtx, _ *[]byte) (interface{}, *Rerror) { return fn(c) }, nil
			}
			if fn, ok := as[func(UnknownPullCtx, *[]byte) (interface{}, *Rerror)](v); ok {
				return func(c *handlerCtx, body *[]byte) (interface{}, *Rerror) { return fn(c, body) }, nil
			}
		} else {
			if fn, ok := as[func(UnknownPushCtx)](v); ok {
				return func(c *handlerCtx, _ *[]byte) (interface{}, *Rerror) { fn(c); return nil, nil }, nil
			}
			if fn, ok := as[func(UnknownPushCtx, *[]byte)](v); ok {
				return func(c *handlerCtx, body *[]byte) (interface{}, *Rerror) { fn(c, body); return nil, nil }, nil
			}
		}
	}
	want := "func(tp.UnknownPushCtx) or func(tp.UnknownPushCtx, *[]byte)"
	if isPull {
		want = "func(tp.UnknownPullCtx) (interface{}, *tp.Rerror) or func(tp.UnknownPullCtx, *[]byte) (interface{}, *tp.Rerror)"
	}
	return nil, fmt.Errorf("the unknown handler is %s, it must be %s", describe(what), want)
}

func as[F any](v reflect.Value) (F, bool) {
	var none F
	if typ := reflect.TypeFor[F](); v.Type().ConvertibleTo(typ) {
		return v.Convert(typ).Interface().(F), true
	}
	return none, false
}

func describe(v interface{}) string {
	if v == nil {
		return "nil"
	}
	if rv := reflect.ValueOf(v); (rv.Kind() == reflect.Pointer || rv.Kind() == reflect.Func) && rv.IsNil() {
		return fmt.Sprintf("a nil %T", v)
	}
	return fmt.Sprintf("of type %T", v)
}
