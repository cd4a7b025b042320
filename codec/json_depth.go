package codec

import (
	"bytes"
	"reflect"
	"sync"
)

// What jsoniter must not decode, encoding/json does. For each struct that it is in,
// jsoniter puts the error of what is inside into another one, so that the time of that
// grows with the square of the depth: 80 KB took seconds. Where it decodes into slices it
// does not count how deep it is, and a stack that overflows ends the program. Both
// take a type that contains itself.
const (
	// maxJSONDepth is what jsoniter takes elsewhere, and encoding/json everywhere.
	maxJSONDepth = 10000
	// maxNestedDepth is what it is given to decode into a type that contains itself.
	maxNestedDepth = 100
)

// safeDepth returns how deep data may be nested that jsoniter decodes into a type.
func safeDepth(t reflect.Type) int {
	nested, ok := nestedTypes.Load(t)
	if !ok {
		nested = containsItself(t, make(map[reflect.Type]bool))
		nestedTypes.Store(t, nested)
	}
	if nested.(bool) {
		return maxNestedDepth
	}
	return maxJSONDepth
}

// nestedTypes tells of the types that were seen whether they contain themselves, or
// another that does: of reflect.Type to bool.
var nestedTypes sync.Map

// containsItself reports whether t does, or one that it contains. Seen are those that it
// was called for, true as long as it has not returned.
func containsItself(t reflect.Type, seen map[reflect.Type]bool) bool {
	if open, ok := seen[t]; ok {
		return open
	}
	seen[t] = true
	defer func() { seen[t] = false }()
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return containsItself(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if containsItself(t.Field(i).Type, seen) {
				return true
			}
		}
	}
	return false
}

// deeperThan reports whether arrays and objects are nested deeper than max in data.
func deeperThan(data []byte, max int) bool {
	if bytes.Count(data, []byte{'['})+bytes.Count(data, []byte{'{'}) <= max {
		return false // counting takes next to no time
	}
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '[', '{':
			if depth++; depth > max {
				return true
			}
		case ']', '}':
			depth--
		case '"':
			for i++; i < len(data) && data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
		}
	}
	return false
}
