package form

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// MaxPairs is how many pairs Unmarshal takes: the limit of net/url too.
	MaxPairs = 10000
	// MaxIndices is how many brackets the keys of a body for a struct may have. The
	// library looks each of them up among all others, so that the time it takes
	// grows with the square.
	MaxIndices = 2000
	// MaxGap is how many elements the indices of a body may leave out in all.
	MaxGap = 1000
)

var (
	errTarget  = errors.New("pass a pointer to a url.Values, a map[string]string or a struct")
	errPairs   = fmt.Errorf("more than %d pairs", MaxPairs)
	errIndices = fmt.Errorf("more than %d indices", MaxIndices)
	errGap     = fmt.Errorf("the indices leave out more than %d elements", MaxGap)
	errBracket = errors.New("a key has a bracket without the other")
)

// parse reads the pairs of data.
func parse(data string) (url.Values, error) {
	if strings.Count(data, "&") >= MaxPairs {
		return nil, errPairs
	}
	return url.ParseQuery(data)
}

// checkKeys returns an error for keys that the library must not see: it panics at
// an unpaired bracket, after a line in the log, makes a slice as long as the
// highest index says, and takes long for many indices.
func checkKeys(values url.Values, s *shape) error {
	lengths := make(map[string]int) // of the slices, by the key up to the bracket
	brackets, given, claimed := 0, 0, 0
	for key := range values {
		open := -1
		for i := range len(key) {
			switch {
			case key[i] == '[' && open < 0:
				open = i
				if brackets++; brackets > MaxIndices {
					return errIndices
				}
			case key[i] == ']' && open >= 0:
				if n, err := strconv.Atoi(key[open+1 : i]); err == nil && !s.isMap(key[:open]) {
					given++
					if old := lengths[key[:open]]; n >= old {
						// No sum overflows: what is added at a time is limited.
						if n-old > MaxIndices+MaxGap {
							return errGap
						}
						claimed += n + 1 - old
						lengths[key[:open]] = n + 1
					}
				}
				open = -1
			case key[i] == '[', key[i] == ']':
				return errBracket
			}
		}
		if open >= 0 {
			return errBracket
		}
	}
	if claimed > given+MaxGap {
		return errGap
	}
	return nil
}

// shape is what must be known of a struct type before its values are decoded.
type shape struct {
	err  error           // why it is refused, or nil
	maps map[string]bool // by the name of a field: are all that are called so maps?
}

// isMap reports whether what stands before a bracket is surely a map.
func (s *shape) isMap(path string) bool {
	return s.maps[path[strings.LastIndexByte(path, '.')+1:]]
}

// shapes holds the shapes of the types that were seen: of reflect.Type to *shape.
var shapes sync.Map

// shapeOf returns the shape of a struct type. A type that the library cannot decode
// safely is refused: it prints to the standard output when there are more values
// than an array has room for, and follows a type that contains itself as deep as the
// longest key says.
func shapeOf(t reflect.Type) *shape {
	if s, ok := shapes.Load(t); ok {
		return s.(*shape)
	}
	s := &shape{maps: make(map[string]bool)}
	s.err = s.walk(t, nil)
	shapes.Store(t, s)
	return s
}

func (s *shape) walk(t reflect.Type, inside []reflect.Type) error {
	if slices.Contains(inside, t) {
		return fmt.Errorf("%v contains itself", t)
	}
	inside = append(inside, t)
	switch t.Kind() {
	case reflect.Array:
		return fmt.Errorf("it has a %v: use a slice", t)
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return s.walk(t.Elem(), inside)
	case reflect.Struct:
	default:
		return nil
	}
	if t == reflect.TypeFor[time.Time]() {
		return nil
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get(Name), ",")
		if !f.IsExported() && !f.Anonymous || name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		base := f.Type
		for base.Kind() == reflect.Pointer {
			base = base.Elem()
		}
		seen, ok := s.maps[name]
		s.maps[name] = base.Kind() == reflect.Map && (seen || !ok)
		if err := s.walk(f.Type, inside); err != nil {
			return err
		}
	}
	return nil
}
