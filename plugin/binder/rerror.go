package binder

import (
	"fmt"
	"strings"

	"github.com/go-playground/validator/v10"
	tp "github.com/henrylee2cn/teleport"
)

// FieldError is what is wrong with one field of args.
type FieldError struct {
	// Source is where the field comes from: "query", "meta" or "body".
	Source string
	// Name is the key in the query or the meta data, or the path in the body, as in
	// "items[0].price".
	Name string
	// Rule says what is wrong: "is missing", "is no int", "fails min=1".
	Rule string
	// Code and Message are those of a tag "rerr"; Message is empty without one.
	Code    int32
	Message string
}

// String returns source, name and rule.
func (e FieldError) String() string { return fmt.Sprintf("%s %q: %s", e.Source, e.Name, e.Rule) }

// maxNamed is how many fields an error names.
const maxNamed = 10

// Rerror returns the error of args that are wrong by default: tp.CodeBadPacket, 400, with
// all of them in the Detail, the first ten if there are more. If one of them has a
// code and message of its own, it is that, of the first one that has.
func Rerror(wrong []FieldError) *tp.Rerror {
	rerr := tp.NewRerror(tp.CodeBadPacket, tp.CodeText(tp.CodeBadPacket))
	for _, e := range wrong {
		if e.Message != "" {
			rerr.Code, rerr.Message = e.Code, e.Message
			break
		}
	}
	var texts []string
	for i, e := range wrong {
		if i == maxNamed {
			texts = append(texts, fmt.Sprintf("and %d more", len(wrong)-i))
			break
		}
		texts = append(texts, e.String())
	}
	rerr.Detail = strings.Join(texts, "; ")
	return rerr
}

// wrong returns the error that the validator has found.
func (p *plan) wrong(e validator.FieldError) FieldError {
	rule := "fails " + e.Tag()
	if e.Param() != "" {
		rule += "=" + e.Param()
	}
	if f := p.byPath[withoutType(e.StructNamespace(), p.args.Name())]; f != nil {
		return f.wrong(rule)
	}
	return FieldError{Source: "body", Name: withoutType(e.Namespace(), p.args.Name()), Rule: rule}
}

// withoutType returns the path of a field without the name of the struct.
func withoutType(namespace, name string) string {
	return strings.TrimPrefix(strings.TrimPrefix(namespace, name), ".")
}
