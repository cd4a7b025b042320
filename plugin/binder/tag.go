package binder

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// Where a field comes from.
const (
	fromBody  = "body"
	fromQuery = "query"
	fromMeta  = "meta"
)

// rules are what the tags of a field say.
type rules struct {
	source   string
	name     string // empty if the tag has none
	required bool
	standard *string // the default; nil if there is none

	checks  []string // in the language of the validator
	pattern *regexp.Regexp
	code    int32
	message string // of the error; empty if it has none of its own
}

// readTags reads the tags of a field. It returns nil if the binder has nothing to do with
// it.
func readTags(tag reflect.StructTag) (*rules, error) {
	param, hasParam := tag.Lookup("param")
	standard, hasDefault := tag.Lookup("default")
	if param == "-" || !hasParam && !hasDefault {
		return nil, nil
	}
	r := &rules{source: fromBody}
	if hasDefault {
		r.standard = &standard
	}
	read := r.readPlain
	if strings.HasPrefix(param, "<") {
		read = r.readBrackets
	}
	if err := read(param); err != nil {
		return nil, fmt.Errorf("tag param:%q: %w", param, err)
	}
	return r, nil
}

// readPlain reads "query:name,required".
func (r *rules) readPlain(param string) error {
	if param == "" {
		return nil
	}
	parts := strings.Split(param, ",")
	for i, part := range parts {
		key, value, _ := strings.Cut(part, ":")
		switch {
		case i == 0 && (key == fromQuery || key == fromMeta):
			r.source, r.name = key, value
		case part == "required":
			r.required = true
		default:
			return fmt.Errorf("%q is not known: it is \"query:NAME\" or \"meta:NAME\", and \",required\" after that", part)
		}
	}
	return nil
}

// readBrackets reads "<meta:name><len:1:10>". A rule ends where another begins, so that a
// pattern may have brackets.
func (r *rules) readBrackets(param string) error {
	if !strings.HasSuffix(param, ">") {
		return errors.New("the last '>' is missing")
	}
	for _, rule := range strings.Split(param[1:len(param)-1], "><") {
		key, value, _ := strings.Cut(rule, ":")
		if err := r.readRule(strings.TrimSpace(key), value); err != nil {
			return fmt.Errorf("rule %q: %w", rule, err)
		}
	}
	return nil
}

func (r *rules) readRule(key, value string) (err error) {
	switch key {
	case fromQuery, fromMeta:
		if r.source != fromBody {
			return errors.New("it comes from one place only")
		}
		r.source, r.name = key, value
	case "required":
		r.required = true
	case "default":
		r.standard = &value
	case "nonzero":
		r.checks = append(r.checks, "required")
	case "len", "range":
		err = r.readRange(value)
	case "regexp":
		r.pattern, err = regexp.Compile(value)
	case "rerr", "stat":
		code, message, ok := strings.Cut(value, ":")
		n, bad := strconv.ParseInt(code, 10, 32)
		if !ok || message == "" || bad != nil {
			return errors.New("it has a code and a message, as in <rerr:100002:no such page>")
		}
		r.code, r.message = int32(n), message
	case "desc":
	case "swap":
		return errors.New("a session here has no Swap: let a plugin set a value of the meta data, and use <meta:...>")
	default:
		return errors.New("it is not known")
	}
	return err
}

// readRange reads "1:10", of which either may be empty.
func (r *rules) readRange(value string) error {
	low, high, ok := strings.Cut(value, ":")
	if !ok {
		return errors.New("it has two bounds, as in <range:1:10>, of which one may be empty")
	}
	for _, bound := range [][2]string{{"min", low}, {"max", high}} {
		if bound[1] == "" {
			continue
		}
		if _, err := strconv.ParseFloat(bound[1], 64); err != nil {
			return fmt.Errorf("%q is no number", bound[1])
		}
		r.checks = append(r.checks, bound[0]+"="+bound[1])
	}
	return nil
}
