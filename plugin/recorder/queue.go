package recorder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/henrylee2cn/teleport/internal/notice"
)

// ErrNotWritten is what Close returns, wrapped, when its context ended before all records
// were written.
var ErrNotWritten = errors.New("recorder: not all records are written")

// queue has the records that wait for the handler.
type queue struct {
	handler slog.Handler
	most    int

	dropped, failed atomic.Uint64

	mu      sync.Mutex // protects following
	waiting []slog.Record
	pending int    // those that wait, and those that the writer has in hand
	unsaid  uint64 // how many were dropped since that was last recorded
	writing bool   // the writer runs
	closed  bool
	idle    notice.Notice // of the writer's end
}

// takes reports whether the handler wants records of the level.
func (q *queue) takes(level slog.Level) bool { return q.handler.Enabled(context.Background(), level) }

// add never waits for the handler.
func (q *queue) add(record slog.Record) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.pending >= q.most {
		q.dropped.Add(1)
		q.unsaid++
		return
	}
	q.pending++
	q.waiting = append(q.waiting, record)
	if !q.writing {
		q.writing = true
		go q.write()
	}
}

// write is the writer: it ends when nothing waits.
func (q *queue) write() {
	for {
		records, unsaid := q.take()
		if unsaid > 0 {
			q.handle(slog.NewRecord(time.Now(), slog.LevelWarn, fmt.Sprintf("recorder: %d records were dropped", unsaid), 0))
		}
		if len(records) == 0 && unsaid == 0 {
			return
		}
		for _, record := range records {
			q.handle(record)
			q.mu.Lock()
			q.pending--
			q.mu.Unlock()
		}
	}
}

// take returns what waits. If it is nothing, the writer must end.
func (q *queue) take() (records []slog.Record, unsaid uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	records, unsaid = q.waiting, q.unsaid
	q.waiting, q.unsaid = nil, 0
	if len(records) == 0 && unsaid == 0 {
		q.writing = false
		q.idle.Tell()
	}
	return records, unsaid
}

// handle runs code of the user, which may panic.
func (q *queue) handle(record slog.Record) {
	ok := false
	defer func() {
		if !ok {
			_ = recover()
			q.failed.Add(1)
		}
	}()
	if q.takes(record.Level) {
		ok = q.handler.Handle(context.Background(), record) == nil
		return
	}
	ok = true
}

// Close waits until all records are written, or ctx has ended: then the error wraps
// ErrNotWritten and that of ctx. What is to be recorded after that is dropped. Close the
// peer before. Closing again waits again.
func (r *Recorder) Close(ctx context.Context) error {
	q := &r.queue
	for {
		q.mu.Lock()
		q.closed = true
		idle, writing, left := q.idle.Wait(), q.writing, q.pending
		q.mu.Unlock()
		if !writing {
			return nil
		}
		select {
		case <-idle:
		case <-ctx.Done():
			return fmt.Errorf("%w: %d are left: %w", ErrNotWritten, left, ctx.Err())
		}
	}
}

// Stats is what a Recorder has not written.
type Stats struct {
	// Dropped counts the records that came while Config.Queue were waiting, or after
	// Close. Failed counts those for which the Handler returned an error or panicked.
	Dropped, Failed uint64
	// Waiting is how many records wait to be written.
	Waiting int
}

// Stats returns what was not written.
func (r *Recorder) Stats() Stats {
	q := &r.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	return Stats{Dropped: q.dropped.Load(), Failed: q.failed.Load(), Waiting: q.pending}
}
