package tp

import (
	"fmt"
	"reflect"
)

// findContext returns where in typ the context is embedded: the indexes of
// the fields on the way.
func findContext(typ, context reflect.Type) ([]int, error) {
	for i := 0; i < typ.NumField(); i++ {
		if f := typ.Field(i); f.Anonymous && f.Type == context {
			return []int{i}, nil
		}
	}
	for i := 0; i < typ.NumField(); i++ {
		f := typ.Field(i)
		if !f.Anonymous {
			continue
		}
		elem := f.Type
		if elem.Kind() == reflect.Pointer {
			elem = elem.Elem()
		}
		if elem.Kind() != reflect.Struct || elem == typ {
			continue
		}
		below, err := findContext(elem, context)
		if err != nil {
			continue
		}
		// Fields of an unexported embedded struct can be set, what an
		// unexported embedded pointer points to cannot be replaced.
		if f.Type.Kind() == reflect.Pointer && !f.IsExported() {
			return nil, fmt.Errorf("it embeds %s through a pointer to the unexported %s: embed that by value, or export it", context, elem)
		}
		return append([]int{i}, below...), nil
	}
	return nil, fmt.Errorf("it does not embed %s", context)
}

// controllerFactory makes a controller for each exchange: a copy of the
// registered one. Structs that lead to the context through pointers are
// copied too, or two exchanges would share it.
type controllerFactory struct {
	typ    reflect.Type
	master reflect.Value // a copy, which nobody else can change
	at     []int
}

func newControllerFactory(ctrl reflect.Value, at []int) *controllerFactory {
	f := &controllerFactory{typ: ctrl.Type(), at: at}
	f.master = f.copy(ctrl).Elem()
	return f
}

// copy returns a pointer to a copy of v.
func (f *controllerFactory) copy(v reflect.Value) reflect.Value {
	ptr := reflect.New(f.typ)
	ptr.Elem().Set(v)
	for on, i := ptr.Elem(), 0; i < len(f.at)-1; i++ {
		on = on.Field(f.at[i])
		if on.Kind() == reflect.Pointer {
			own := reflect.New(on.Type().Elem())
			if !on.IsNil() {
				own.Elem().Set(on.Elem())
			}
			on.Set(own)
			on = own.Elem()
		}
	}
	return ptr
}

// make returns a pointer to a controller whose context is c.
func (f *controllerFactory) make(c *handlerCtx) reflect.Value {
	ptr := f.copy(f.master)
	on := ptr.Elem()
	for _, i := range f.at {
		if on.Kind() == reflect.Pointer {
			on = on.Elem()
		}
		on = on.Field(i)
	}
	// Not on.Set: it would look for all methods of the interface each time.
	switch context := on.Addr().Interface().(type) {
	case *PullCtx:
		*context = c
	case *PushCtx:
		*context = c
	}
	return ptr
}
