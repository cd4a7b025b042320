// Package binder is a plugin that fills the args of handlers from the query and the meta
// data, and validates them before the handler runs:
//
//	type ListArgs struct {
//		Words string        // of the body
//		Page  int           `param:"query:page" default:"1" validate:"min=1,max=1000"`
//		Tags  []string      `param:"query:tag"`
//		User  string        `param:"meta:user,required"`
//		Wait  time.Duration `param:"query:wait" default:"5s" validate:"max=1m"`
//	}
//
//	peer := tp.NewPeer(cfg, binder.New(binder.Config{}))
//	tp.RegPull(peer.PullRouter, "list", func(ctx tp.PullCtx, args *ListArgs) (List, *tp.Rerror) { ... })
//
// A pull of "/list?page=0" is answered with 400 then, and a Detail that names the field:
//
//	query "page": fails min=1; meta "user": is missing
//
// A push with such args is dropped and logged. Values are never in the text.
//
// # Tags
//
// "param" is "query:NAME" or "meta:NAME", and ",required" after that if the key must be
// there. Without ":NAME" the key is the field's name in snake case. Such a field is never
// taken from the body: without the key it is its default, or zero. "default" is what it is
// without the key; of a field of the body, what it is if it came as zero. "validate" is
// that of github.com/go-playground/validator/v10. It holds for fields of the body too,
// in structs within structs, and "dive" goes into slices and maps.
//
// Fields that are filled are strings, booleans, numbers, time.Duration, []byte, what
// implements encoding.TextUnmarshaler, pointers to one of these, which are nil without the key,
// and slices of them, which have all values of the key. Others have the first. They are fields of
// the struct itself and of structs that it embeds.
//
// The tags of the binder of teleport v3 and erpc are understood too:
//
//	param:"<query:page><range:1:1000><rerr:100002:no such page>"
//
// with the rules query, meta, required, default, desc, nonzero, len, range, regexp, rerr and
// stat; rerr and stat give an error its own code and message. There is no swap here, and a
// tag with one is refused.
//
// All tags of a type are read when a handler is registered: one that cannot work panics
// there, and says which.
//
// This package is a module of its own, so that only who uses it gets the validator.
package binder
