package xfer

import (
	"fmt"
	"runtime/debug"
)

// MaxFilters is how many filters a packet may go through. It cannot be changed:
// one for each of compression, encryption and a checksum leaves one more.
const MaxFilters = 4

// XferPipe is the list of the filters of a packet, outermost first: the ids
// are in the order in which they stand on the wire. Packing applies the last
// filter first and the first one last; unpacking undoes the first one first.
// No filter is in a pipe twice.
//
// The zero value is an empty pipe, ready for use; packing and reading methods
// also take a nil pipe for an empty one. Any number of goroutines may use a
// pipe at the same time; changing it needs exclusive use.
type XferPipe struct {
	filters []XferFilter
}

// PanicError is the error of a filter that panicked.
type PanicError struct {
	// Id is the id of the filter.
	Id byte
	// Value is what the filter panicked with.
	Value interface{}
	// Stack is the stack of the goroutine in the filter, as text.
	Stack []byte
}

// Error names the filter and the value, but leaves out the stack.
func (e *PanicError) Error() string {
	return fmt.Sprintf("xfer: filter %s panicked: %v", showID(e.Id), e.Value)
}

// Unwrap returns the value of the panic if that is an error, else nil.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Reset removes all filters.
func (x *XferPipe) Reset() {
	if x == nil {
		return
	}
	clear(x.filters)
	x.filters = x.filters[:0]
}

// Append adds the registered filters with the ids, as the innermost ones, in
// that order. An id that is in the pipe already is ignored. If an id is not
// registered, or more than MaxFilters would be in the pipe (see
// ErrXferPipeTooLong), the pipe stays as it was.
func (x *XferPipe) Append(filterId ...byte) error {
	return x.appendIDs(filterId, false)
}

// AppendWire is Append for the ids of a packet from the network, where an id
// that is in the pipe already is an error: nobody writes that.
func (x *XferPipe) AppendWire(ids []byte) error {
	if len(ids) > MaxFilters {
		return fmt.Errorf("%w: the packet lists %d", ErrXferPipeTooLong, len(ids))
	}
	return x.appendIDs(ids, true)
}

func (x *XferPipe) appendIDs(ids []byte, strict bool) error {
	before := len(x.filters)
	for _, id := range ids {
		filter, err := Get(id)
		if err == nil && x.has(id) {
			if !strict {
				continue
			}
			err = fmt.Errorf("xfer: filter %s is listed twice", showID(id))
		}
		if err == nil && len(x.filters) == MaxFilters {
			err = fmt.Errorf("%w: no room for filter %s", ErrXferPipeTooLong, showID(id))
		}
		if err != nil {
			clear(x.filters[before:])
			x.filters = x.filters[:before]
			return err
		}
		x.filters = append(x.filters, filter)
	}
	return nil
}

// AppendUnchecked is Append for who learns of errors only where packets are packed:
// an id that is not registered, and more than MaxFilters filters, are errors of OnPack
// and OnUnpack.
func (x *XferPipe) AppendUnchecked(filterId ...byte) {
	for _, id := range filterId {
		if x.has(id) {
			continue
		}
		filter, err := Get(id)
		if err != nil {
			filter = missing{id, err}
		}
		x.filters = append(x.filters, filter)
	}
}

// AppendFrom adds the filters of src, which may be nil, as the innermost ones
// and leaves out those that are in the pipe already. A pipe that has more
// than MaxFilters afterwards can neither pack nor unpack.
func (x *XferPipe) AppendFrom(src *XferPipe) {
	if src == nil || src == x {
		return
	}
	for _, filter := range src.filters {
		if !x.has(filter.Id()) {
			x.filters = append(x.filters, filter)
		}
	}
}

func (x *XferPipe) has(id byte) bool {
	for _, filter := range x.filters {
		if filter.Id() == id {
			return true
		}
	}
	return false
}

// Len returns the number of filters.
func (x *XferPipe) Len() int {
	if x == nil {
		return 0
	}
	return len(x.filters)
}

// Ids returns the ids of the filters, outermost first, in a slice of the
// caller's own: nil for an empty pipe.
func (x *XferPipe) Ids() []byte {
	if x.Len() == 0 {
		return nil
	}
	ids := make([]byte, len(x.filters))
	for i, filter := range x.filters {
		ids[i] = filter.Id()
	}
	return ids
}

// Range calls callback with every filter, outermost first, until it returns
// false. It must not change the pipe.
func (x *XferPipe) Range(callback func(idx int, filter XferFilter) bool) {
	if x.Len() == 0 {
		return
	}
	for i, filter := range x.filters {
		if !callback(i, filter) {
			return
		}
	}
}

// OnPack returns what to send for data: data itself if the pipe is empty. It
// neither writes to data nor keeps it, but the result may share its memory. A
// filter that fails or panics (see PanicError) gives an error that names it.
func (x *XferPipe) OnPack(data []byte) ([]byte, error) {
	if x.Len() > MaxFilters {
		return nil, fmt.Errorf("%w: the pipe has %d", ErrXferPipeTooLong, x.Len())
	}
	for i := x.Len() - 1; i >= 0; i-- {
		var err error
		if data, err = pack(x.filters[i], data); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// OnUnpack undoes OnPack with the limits that the filters have of their own,
// if any: for data from the network, use OnUnpackLimit. Otherwise it is as
// OnUnpackLimit.
func (x *XferPipe) OnUnpack(data []byte) ([]byte, error) {
	return x.unpackAll(data, -1)
}

// OnUnpackLimit undoes OnPack. No filter may make more than max bytes, a
// negative max counting as 0: a LimitUnpacker is told max, and the result of
// any other filter is measured. Too many give an error that wraps
// ErrExceedLimit. An empty pipe returns data itself, of any length.
//
// It neither writes to data nor keeps it, but the result may share its
// memory. A filter that fails or panics (see PanicError) gives an error that
// names it.
func (x *XferPipe) OnUnpackLimit(data []byte, max int) ([]byte, error) {
	if max < 0 {
		max = 0
	}
	return x.unpackAll(data, max)
}

// unpackAll unpacks with a limit, if max is not negative.
func (x *XferPipe) unpackAll(data []byte, max int) ([]byte, error) {
	if x.Len() == 0 {
		return data, nil
	}
	if len(x.filters) > MaxFilters {
		return nil, fmt.Errorf("%w: the pipe has %d", ErrXferPipeTooLong, len(x.filters))
	}
	for _, filter := range x.filters {
		var err error
		if data, err = unpack(filter, data, max); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// missing stands in a pipe for a filter that was not registered.
type missing struct {
	id  byte
	err error
}

// Id implements XferFilter.
func (m missing) Id() byte { return m.id }

// OnPack implements XferFilter.
func (m missing) OnPack([]byte) ([]byte, error) { return nil, m.err }

// OnUnpack implements XferFilter.
func (m missing) OnUnpack([]byte) ([]byte, error) { return nil, m.err }

// pack calls the OnPack of one filter.
func pack(filter XferFilter, src []byte) (dst []byte, err error) {
	defer recoverFilter(filter, &dst, &err)
	if dst, err = filter.OnPack(src); err != nil {
		return nil, fmt.Errorf("xfer: filter %s: pack: %w", showID(filter.Id()), err)
	}
	return dst, nil
}

// unpack calls the OnUnpackLimit of one filter, or its OnUnpack if it has no
// other or max is negative.
func unpack(filter XferFilter, src []byte, max int) (dst []byte, err error) {
	defer recoverFilter(filter, &dst, &err)
	if limited, ok := filter.(LimitUnpacker); ok && max >= 0 {
		dst, err = limited.OnUnpackLimit(src, max)
	} else {
		dst, err = filter.OnUnpack(src)
	}
	if err == nil && max >= 0 && len(dst) > max {
		err = fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrExceedLimit, len(dst), max)
	}
	if err != nil {
		return nil, fmt.Errorf("xfer: filter %s: unpack: %w", showID(filter.Id()), err)
	}
	return dst, nil
}

// recoverFilter turns a panic of the filter into an error. It is deferred.
func recoverFilter(filter XferFilter, dst *[]byte, err *error) {
	if value := recover(); value != nil {
		*dst, *err = nil, &PanicError{Id: filter.Id(), Value: value, Stack: debug.Stack()}
	}
}
