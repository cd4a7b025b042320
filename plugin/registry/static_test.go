package registry_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/henrylee2cn/teleport/plugin/registry"
)

func TestInstanceValidate(t *testing.T) {
	for field, i := range map[string]registry.Instance{
		"Service":     {Addr: "a"},
		"Service = ":  {Service: "a/b", Addr: "a"},
		"Addr":        {Service: "s"},
		"Weight = -1": {Service: "s", Addr: "a", Weight: -1},
	} {
		if err := i.Validate(); err == nil || !strings.Contains(err.Error(), "Instance."+field) {
			t.Errorf("%s: %v", field, err)
		}
		if _, err := new(registry.Static).Register(t.Context(), i, 0); err == nil {
			t.Errorf("%s: registered", field)
		}
	}
	i := registry.Instance{Service: "s", Addr: "a", Routes: []string{"pull /x"}, Meta: map[string]string{"k": "v"}}
	d := i.WithDefaults()
	if d.ID != "a" || d.Weight != 1 || !reflect.DeepEqual(d.Meta, i.Meta) {
		t.Errorf("defaults: %+v", d)
	}
	for name, change := range map[string]func(*registry.Instance){
		"Service":  func(i *registry.Instance) { i.Service = "t" },
		"ID":       func(i *registry.Instance) { i.ID = "t" },
		"Addr":     func(i *registry.Instance) { i.Addr = "t" },
		"Weight":   func(i *registry.Instance) { i.Weight = 7 },
		"Priority": func(i *registry.Instance) { i.Priority = 7 },
		"Routes":   func(i *registry.Instance) { i.Routes[0] = "t" },
		"Meta":     func(i *registry.Instance) { i.Meta["k"] = "t" },
	} {
		other := d.WithDefaults()
		if !other.Equal(d) {
			t.Fatalf("%+v is not %+v", other, d)
		}
		if change(&other); other.Equal(d) {
			t.Errorf("another %s is no difference, or changes the original", name)
		}
	}
	if reflect.TypeFor[registry.Instance]().NumField() != 7 {
		t.Error("Equal and this test know 7 fields")
	}
}

func TestStatic(t *testing.T) {
	reg := registry.NewStatic(registry.Instance{Service: "s", Addr: "b"}, registry.Instance{Service: "other", Addr: "x"})
	told := make(chan []string)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- reg.Watch(ctx, "s", func(all []registry.Instance, err error) {
			if err != nil {
				t.Error(err)
			}
			var ids []string
			for _, i := range all {
				ids = append(ids, i.ID+"="+i.Addr)
			}
			told <- ids
		})
	}()
	want := func(ids ...string) {
		t.Helper()
		if got := receive(t, told); strings.Join(got, " ") != strings.Join(ids, " ") {
			t.Errorf("got %q, want %q", got, ids)
		}
	}
	want("b=b")
	a, err := reg.Register(t.Context(), registry.Instance{Service: "s", Addr: "a"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	want("a=a", "b=b")
	if _, err := reg.Register(t.Context(), registry.Instance{Service: "other", Addr: "y"}, 0); err != nil {
		t.Fatal(err)
	}
	// It takes the place of the first, whose withdrawal then does nothing.
	again, err := reg.Register(t.Context(), registry.Instance{Service: "s", ID: "a", Addr: "a2"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	want("a=a2", "b=b")
	receive(t, a.Done())
	if err := a.Withdraw(t.Context()); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := again.Withdraw(t.Context()); err != nil {
			t.Error(err)
		}
	}
	receive(t, again.Done())
	want("b=b")
	if err := reg.Set("s", registry.Instance{Addr: "n"}, registry.Instance{Addr: ""}); err == nil {
		t.Error("an instance without an address is set")
	}
	if err := reg.Set("s", registry.Instance{Service: "other", Addr: "n"}); err == nil || !strings.Contains(err.Error(), "other") {
		t.Errorf("an instance of another service is set: %v", err)
	}
	if err := reg.Set("s", registry.Instance{Addr: "n"}, registry.Instance{ID: "n", Addr: "m"}); err != nil {
		t.Error(err)
	}
	want("n=m") // two of one ID
	if err := reg.Set("s"); err != nil {
		t.Error(err)
	}
	want()
	if err := reg.Set("s", registry.Instance{Addr: "n"}); err != nil {
		t.Error(err)
	}
	want("n=n")
	cancel()
	if err := receive(t, ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Watch: %v", err)
	}
	if _, err := reg.Discover(ctx, "s"); err == nil {
		t.Error("Discover does not look at its context")
	}
	if _, err := reg.Register(ctx, registry.Instance{Service: "s", Addr: "z"}, 0); err == nil {
		t.Error("Register does not look at its context")
	}
	if all, err := reg.Discover(t.Context(), "nothing"); err != nil || len(all) != 0 {
		t.Errorf("of no service: %v, %v", all, err)
	}
	defer func() {
		if recover() == nil {
			t.Error("NewStatic takes what is not valid")
		}
	}()
	registry.NewStatic(registry.Instance{})
}

// Who is slow to take a change gets the last one next, and none of those between.
func TestStaticWatchThatFallsBehind(t *testing.T) {
	reg := new(registry.Static)
	told := make(chan []registry.Instance)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- reg.Watch(ctx, "s", func(all []registry.Instance, _ error) { told <- all })
	}()
	if all := receive(t, told); len(all) != 0 {
		t.Errorf("at first: %v", all)
	}
	set := func(n int) {
		if err := reg.Set("s", registry.Instance{Addr: fmt.Sprint(n)}); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 100 {
		set(n)
	}
	calls := 0
	for last := ""; last != "99"; calls++ {
		last = receive(t, told)[0].Addr
	}
	if calls > 2 { // one may have been under way
		t.Errorf("the last came after %d calls", calls)
	}
	cancel()
	receive(t, ended)
}
