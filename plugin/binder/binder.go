package binder

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-playground/validator/v10"
	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
)

// Config is that of a Plugin.
type Config struct {
	// Validator validates args. It may have validations of one's own, which must be
	// registered before New. Default: one with the validations of its package.
	Validator *validator.Validate
	// Rerror makes the error of args that are wrong, of which there is at least one. It
	// is called by many goroutines. Default: Rerror.
	Rerror func(wrong []FieldError) *tp.Rerror
}

// Plugin fills and validates args. It is safe for concurrent use, and may belong to
// several peers, groups and handlers.
type Plugin struct {
	cfg   Config
	plans sync.Map // of *plan, by the reflect.Type of the args
}

var (
	_ tp.PostRegPlugin          = new(Plugin)
	_ tp.PostReadPullBodyPlugin = new(Plugin)
	_ tp.PostReadPushBodyPlugin = new(Plugin)
)

// New returns a Plugin.
func New(cfg Config) *Plugin {
	if cfg.Validator == nil {
		cfg.Validator = validator.New(validator.WithRequiredStructEnabled())
		cfg.Validator.RegisterTagNameFunc(nameInBody)
	}
	if cfg.Rerror == nil {
		cfg.Rerror = Rerror
	}
	return &Plugin{cfg: cfg}
}

// nameInBody returns the name that a field has in JSON, or "" for its own.
func nameInBody(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return strings.TrimPrefix(name, "-")
}

// Name returns "binder".
func (*Plugin) Name() string { return "binder" }

// PostReg reads the tags of the args of a handler. An error says which cannot work.
func (p *Plugin) PostReg(h *tp.Handler) *tp.Rerror {
	if _, err := p.planOf(h.ArgElemType()); err != nil {
		return tp.NewRerror(tp.CodeInternalServerError, "binder", err.Error())
	}
	return nil
}

// PostReadPullBody fills and validates the args of a pull.
func (p *Plugin) PostReadPullBody(ctx tp.ReadCtx) *tp.Rerror { return p.bind(ctx.Input()) }

// PostReadPushBody fills and validates the args of a push.
func (p *Plugin) PostReadPushBody(ctx tp.ReadCtx) *tp.Rerror { return p.bind(ctx.Input()) }

// planOf returns the plan of a type of args, or nil if there is nothing to do.
func (p *Plugin) planOf(args reflect.Type) (*plan, error) {
	if args.Kind() != reflect.Struct || args.ConvertibleTo(reflect.TypeFor[time.Time]()) {
		return nil, nil
	}
	if known, ok := p.plans.Load(args); ok {
		return known.(*plan), nil
	}
	made, err := newPlan(args)
	if err == nil {
		err = p.try(made)
	}
	if err != nil {
		return nil, fmt.Errorf("binder: args %s: %w", args, err)
	}
	p.plans.Store(args, made)
	return made, nil
}

// try validates args that are zero, but for one zero value wherever there may be any: the
// validator reads the tags of a struct when it meets the first, and panics if it does not
// know what they say.
func (p *Plugin) try(of *plan) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("tag validate: %v", r)
		}
	}()
	sample := reflect.New(of.args)
	fillSample(sample.Elem(), nil)
	p.validate(of, sample)
	return nil
}

// fillSample makes what pointers point to, and an element of each slice and map, but for
// types within themselves.
func fillSample(v reflect.Value, within []reflect.Type) {
	typ := v.Type()
	if !v.CanSet() || slices.Contains(within, typ) {
		return
	}
	within = append(within[:len(within):len(within)], typ)
	switch typ.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(typ.Elem()))
		fillSample(v.Elem(), within)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(typ, 1, 1))
		fillSample(v.Index(0), within)
	case reflect.Array:
		for i := range min(v.Len(), 1) {
			fillSample(v.Index(i), within)
		}
	case reflect.Map:
		element := reflect.New(typ.Elem()).Elem()
		fillSample(element, within)
		v.Set(reflect.MakeMap(typ))
		v.SetMapIndex(reflect.Zero(typ.Key()), element)
	case reflect.Struct:
		for i := range v.NumField() {
			fillSample(v.Field(i), within)
		}
	}
}

func (p *Plugin) bind(in *socket.Packet) *tp.Rerror {
	args := reflect.ValueOf(in.Body())
	if args.Kind() != reflect.Pointer || args.IsNil() {
		return nil
	}
	of, err := p.planOf(args.Type().Elem()) // known, unless the plugin came after the handler
	if err != nil {
		return tp.NewRerror(tp.CodeInternalServerError, tp.CodeText(tp.CodeInternalServerError), err.Error())
	}
	if of == nil {
		return nil
	}
	wrong := of.fill(in, args.Elem())
	if len(wrong) == 0 {
		wrong = p.validate(of, args)
	}
	if len(wrong) == 0 {
		return nil
	}
	if rerr := p.cfg.Rerror(wrong); rerr != nil {
		return rerr
	}
	return Rerror(wrong)
}

// validate returns what is wrong with args that are filled.
func (p *Plugin) validate(of *plan, args reflect.Value) (wrong []FieldError) {
	for _, f := range of.fields {
		if rule := f.check(p.cfg.Validator, args.Elem()); rule != "" {
			wrong = append(wrong, f.wrong(rule))
		}
	}
	var several validator.ValidationErrors
	if err := p.cfg.Validator.Struct(args.Interface()); errors.As(err, &several) {
		for _, e := range several {
			wrong = append(wrong, of.wrong(e))
		}
	}
	return wrong
}
