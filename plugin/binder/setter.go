package binder

import (
	"encoding"
	"reflect"
	"strconv"
	"time"
)

// setter sets v, which it may change even if it returns an error, to values, of which there
// is at least one.
type setter func(v reflect.Value, values []string) error

var (
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
	durationType = reflect.TypeFor[time.Duration]()
)

// setterOf returns what sets a value of the type, or nil.
func setterOf(typ reflect.Type) setter {
	one := scalarOf(typ)
	switch {
	case one != nil:
		return func(v reflect.Value, values []string) error { return one(v, values[0]) }
	case typ.Kind() == reflect.Pointer:
		return pointerTo(setterOf(typ.Elem()))
	case typ.Kind() == reflect.Slice:
		return sliceOf(scalarOf(typ.Elem()))
	}
	return nil
}

func pointerTo(set setter) setter {
	if set == nil {
		return nil
	}
	return func(v reflect.Value, values []string) error {
		v.Set(reflect.New(v.Type().Elem()))
		return set(v.Elem(), values)
	}
}

func sliceOf(one func(reflect.Value, string) error) setter {
	if one == nil {
		return nil
	}
	return func(v reflect.Value, values []string) error {
		v.Set(reflect.MakeSlice(v.Type(), len(values), len(values)))
		for i, value := range values {
			if err := one(v.Index(i), value); err != nil {
				return err
			}
		}
		return nil
	}
}

// scalarOf returns what sets a value of the type to one value, or nil.
func scalarOf(typ reflect.Type) func(v reflect.Value, value string) error {
	switch {
	case reflect.PointerTo(typ).Implements(textType):
		return func(v reflect.Value, value string) error {
			return v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(value))
		}
	case typ == durationType:
		return func(v reflect.Value, value string) error {
			d, err := time.ParseDuration(value)
			v.SetInt(int64(d))
			return err
		}
	}
	switch typ.Kind() {
	case reflect.String:
		return func(v reflect.Value, value string) error {
			v.SetString(value)
			return nil
		}
	case reflect.Bool:
		return func(v reflect.Value, value string) error {
			b, err := strconv.ParseBool(value)
			v.SetBool(b)
			return err
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return func(v reflect.Value, value string) error {
			n, err := strconv.ParseInt(value, 10, typ.Bits())
			v.SetInt(n)
			return err
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return func(v reflect.Value, value string) error {
			n, err := strconv.ParseUint(value, 10, typ.Bits())
			v.SetUint(n)
			return err
		}
	case reflect.Float32, reflect.Float64:
		return func(v reflect.Value, value string) error {
			n, err := strconv.ParseFloat(value, typ.Bits())
			v.SetFloat(n)
			return err
		}
	case reflect.Slice:
		if typ.Elem().Kind() == reflect.Uint8 {
			return func(v reflect.Value, value string) error {
				v.SetBytes([]byte(value))
				return nil
			}
		}
	}
	return nil
}
