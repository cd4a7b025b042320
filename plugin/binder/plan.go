package binder

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strings"

	"github.com/go-playground/validator/v10"
	"github.com/henrylee2cn/goutil"
	"github.com/henrylee2cn/teleport/internal/uri"
	"github.com/henrylee2cn/teleport/socket"
)

// plan is what is to be done with args of one type. It is not changed once it is made.
type plan struct {
	args   reflect.Type
	fields []*field
	byPath map[string]*field // by the names of the fields in Go, with dots between them
}

// field is one that the binder fills or checks.
type field struct {
	rules
	index []int
	set   setter
	kind  string // for people
	tag   string // the checks, for the validator
}

func newPlan(args reflect.Type) (*plan, error) {
	p := &plan{args: args, byPath: make(map[string]*field)}
	return p, p.add(args, nil, "", map[reflect.Type]bool{args: true})
}

// add adds the fields of typ, which is the args or embedded in them.
func (p *plan) add(typ reflect.Type, index []int, path string, within map[reflect.Type]bool) error {
	for i := range typ.NumField() {
		f := typ.Field(i)
		at, name := append(index[:len(index):len(index)], i), path+f.Name
		r, err := readTags(f.Tag)
		if err == nil && r != nil && !f.IsExported() {
			err = errors.New("it is not exported, and cannot be filled")
		}
		if err == nil && r == nil {
			err = p.addWithin(f, at, name, within)
		} else if err == nil {
			err = p.addField(f, r, at, name)
		}
		if err != nil {
			return fmt.Errorf("field %s: %w", name, err)
		}
	}
	return nil
}

// addWithin adds the fields of an embedded struct. In one that is not embedded there may
// be none to fill.
func (p *plan) addWithin(f reflect.StructField, at []int, name string, within map[reflect.Type]bool) error {
	inner := f.Type
	for seen := map[reflect.Type]bool{}; inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice || inner.Kind() == reflect.Array || inner.Kind() == reflect.Map; inner = inner.Elem() {
		if seen[inner] { // as in type list []list
			return nil
		}
		seen[inner] = true
	}
	if inner.Kind() != reflect.Struct || within[inner] || f.Tag.Get("param") == "-" {
		return nil
	}
	within[inner] = true
	defer delete(within, inner)
	embedded := f.Anonymous && (f.Type == inner || f.Type.Kind() == reflect.Pointer && f.Type.Elem() == inner && f.IsExported())
	if embedded {
		return p.add(inner, at, name+".", within)
	}
	inside := &plan{byPath: make(map[string]*field)}
	if err := inside.add(inner, nil, "", within); err != nil {
		return err
	}
	if len(inside.fields) > 0 {
		return errors.New("it has a struct with a tag param or default, which works only in the args themselves and in what they embed")
	}
	return nil
}

func (p *plan) addField(f reflect.StructField, r *rules, at []int, name string) error {
	made := &field{rules: *r, index: at, kind: f.Type.String(), tag: strings.Join(r.checks, ",")}
	if made.name == "" {
		made.name = goutil.SnakeString(f.Name)
		if json := nameInBody(f); made.source == fromBody && json != "" {
			made.name = json
		}
	}
	if made.source != fromBody || made.standard != nil {
		if made.set = setterOf(f.Type); made.set == nil {
			return fmt.Errorf("a %s cannot be filled", f.Type)
		}
	}
	if made.required && made.standard != nil {
		return errors.New("it is required, so that its default is of no use")
	}
	if made.standard != nil {
		if err := made.set(reflect.New(f.Type).Elem(), []string{*made.standard}); err != nil {
			return fmt.Errorf("its default %q is no %s: %w", *made.standard, f.Type, err)
		}
	}
	if made.pattern != nil && f.Type.Kind() != reflect.String {
		return fmt.Errorf("a %s cannot be compared to a regexp", f.Type)
	}
	p.fields = append(p.fields, made)
	p.byPath[name] = made
	return nil
}

func (f *field) wrong(rule string) FieldError {
	return FieldError{Source: f.source, Name: f.name, Rule: rule, Code: f.code, Message: f.message}
}

// fill fills args, and returns what is missing or cannot be read.
func (p *plan) fill(in *socket.Packet, args reflect.Value) (wrong []FieldError) {
	var query url.Values
	for _, f := range p.fields {
		var values []string
		switch f.source {
		case fromQuery:
			if query == nil {
				_, raw, _ := uri.Split(in.Uri())
				query, _ = url.ParseQuery(raw) // pairs that are malformed are left out
			}
			values = query[f.name]
		case fromMeta:
			if in.HasMeta() {
				for _, value := range in.Meta().PeekMulti(f.name) {
					values = append(values, string(value))
				}
			}
		}
		if rule := f.fill(args, values); rule != "" {
			wrong = append(wrong, f.wrong(rule))
		}
	}
	return wrong
}

// fill sets the field to values, or tells what is wrong.
func (f *field) fill(args reflect.Value, values []string) (wrong string) {
	v := fieldOf(args, f.index, true)
	if f.source != fromBody {
		v.SetZero() // whatever the body says
	}
	switch {
	case len(values) > 0:
		if err := f.set(v, values); err != nil {
			v.SetZero()
			return "is no " + f.kind
		}
	case f.required && v.IsZero():
		return "is missing"
	case f.standard != nil && v.IsZero():
		_ = f.set(v, []string{*f.standard}) // newPlan has tried that
	}
	return ""
}

// check returns which rule the field breaks, or "".
func (f *field) check(v *validator.Validate, args reflect.Value) (rule string) {
	if f.tag == "" && f.pattern == nil {
		return ""
	}
	value := fieldOf(args, f.index, false)
	if !value.IsValid() { // in an embedded pointer that is nil
		return ""
	}
	if f.tag != "" {
		var several validator.ValidationErrors
		if err := v.Var(value.Interface(), f.tag); errors.As(err, &several) {
			rule = "fails " + several[0].Tag()
			if several[0].Param() != "" {
				rule += "=" + several[0].Param()
			}
			return rule
		}
	}
	if f.pattern != nil && !f.pattern.MatchString(value.String()) {
		return "fails regexp"
	}
	return ""
}

// fieldOf returns a field, which may be in a pointer that is embedded: it is made if
// wanted, and otherwise the result is not valid.
func fieldOf(v reflect.Value, index []int, made bool) reflect.Value {
	for _, i := range index {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				if !made {
					return reflect.Value{}
				}
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	return v
}
