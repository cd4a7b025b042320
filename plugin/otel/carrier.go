package otel

import (
	"bytes"
	"slices"
	"strings"

	"github.com/henrylee2cn/teleport/utils"
	"go.opentelemetry.io/otel/propagation"
)

// metaCarrier lets a propagator read and write meta data.
type metaCarrier struct{ meta *utils.Args }

var _ propagation.TextMapCarrier = metaCarrier{}

// Get returns the value of a key, whose case does not matter: a packet that came as
// HTTP has "Traceparent".
func (c metaCarrier) Get(key string) (value string) {
	if v := c.meta.Peek(key); len(v) > 0 {
		return string(v)
	}
	c.meta.VisitAll(func(k, v []byte) {
		if value == "" && bytes.EqualFold(k, []byte(key)) {
			value = string(v)
		}
	})
	return value
}

// Set sets the value of a key.
func (c metaCarrier) Set(key, value string) { c.meta.Set(key, value) }

// remove removes keys, whatever their case.
func (c metaCarrier) remove(keys ...string) {
	for _, there := range c.Keys() {
		if slices.ContainsFunc(keys, func(key string) bool { return strings.EqualFold(key, there) }) {
			c.meta.Del(there)
		}
	}
}

// Keys returns all keys.
func (c metaCarrier) Keys() (keys []string) {
	c.meta.VisitAll(func(k, _ []byte) { keys = append(keys, string(k)) })
	return keys
}
