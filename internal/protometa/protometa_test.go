package protometa_test

import (
	"testing"

	"github.com/henrylee2cn/teleport/internal/protometa"
	"github.com/henrylee2cn/teleport/utils"
)

func TestErrorThroughMeta(t *testing.T) {
	meta := new(utils.Args)
	if protometa.Has(nil) || protometa.Has(meta) {
		t.Error("an error in empty meta data")
	}
	want := protometa.Error{Code: -7, Message: `<"ä">`, Detail: "a\\b\nc"}
	want.SetTo(meta)
	if got := protometa.From(meta); !protometa.Has(meta) || got != want {
		t.Errorf("got %+v", got)
	}
	if got, want := string(protometa.Error{Code: 1, Message: "<\xff"}.JSON()), `{"code":1,"message":"<`+"\uFFFD"+`","detail":""}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, bad := range []string{"x", "{}", "null", `{"code":1e99}`, `{"code":"1"}`} {
		meta.Set(protometa.ErrorKey, bad)
		if got := protometa.From(meta); got.Code != 400 || got.Detail != bad {
			t.Errorf("%s: got %+v", bad, got)
		}
	}
}

func TestWithout(t *testing.T) {
	meta := new(utils.Args)
	meta.Parse("a=1&b=2&a=3")
	if protometa.Without(nil, "a") != nil || protometa.Without(meta, "c") != meta {
		t.Error("what has none of the keys is copied")
	}
	if got := protometa.Without(meta, "a", "c").String(); got != "b=2" {
		t.Errorf("got %s", got)
	}
	if got := meta.String(); got != "a=1&b=2&a=3" {
		t.Errorf("the user's meta data became %s", got)
	}
}
