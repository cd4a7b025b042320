package recorder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/internal/notice"
	"github.com/henrylee2cn/teleport/internal/usercode"
)

// ErrNotWritten is what Close returns, wrapped, when its context ended before all records
// were written.
var ErrNotWritten = errors.New("recorder: not all records are written")

// queue has the records that wait for the handler.
type queue struct {
	handler slog.Handler
	most    int

	dropped, failed atomic.Uint64

	failing bool // the writer's: the last record was not written, which is logged

	mu      sync.Mutex // protects following
	waiting []slog.Record
	inHand  int    // 1 while the writer has a record that has waited
	unsaid  uint64 // how many were dropped since that was last recorded
	writing bool   // the writer runs
	closed  bool
	idle    notice.Notice // of the writer's end
}

// pending is how many records are not written yet. Mu is held.
func (q *queue) pending() int { return len(q.waiting) + q.inHand }

// takes reports whether the handler wants records of the level.
func (q *queue) takes(level slog.Level) bool { return q.handler.Enabled(context.Background(), level) }

// add never waits for the handler.
func (q *queue) add(record slog.Record) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.pending() >= q.most {
		q.dropped.Add(1)
		q.unsaid++
		return
	}
	q.waiting = append(q.waiting, record)
	if !q.writing {
		q.writing = true
		go q.write()
	}
}

// write is the writer: it ends when nothing waits.
func (q *queue) write() {
	done := false
	defer func() {
		if !done { // the handler has ended the goroutine
			go q.write()
		}
	}()
	for {
		record, ok := q.next()
		if !ok {
			done = true
			return
		}
		q.handle(record)
	}
}

// next returns the record to write. If there is none, the writer must end.
func (q *queue) next() (record slog.Record, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.inHand = 0
	switch {
	case q.unsaid > 0:
		record = slog.NewRecord(time.Now(), slog.LevelWarn, fmt.Sprintf("recorder: %d records were dropped", q.unsaid), 0)
		q.unsaid = 0
	case len(q.waiting) > 0:
		record, q.waiting = q.waiting[0], q.waiting[1:]
		q.inHand = 1
	default:
		q.waiting = nil
		q.writing = false
		q.idle.Tell()
		return record, false
	}
	return record, true
}

// handle runs code of the user, which may panic. Only the first failure of several is
// logged: who fails, mostly does so for each record.
func (q *queue) handle(record slog.Record) {
	var err error
	usercode.Run(func() {
		if q.takes(record.Level) {
			err = q.handler.Handle(context.Background(), record)
		}
	}, func(gone error) {
		if gone != nil {
			err = errors.New(usercode.Trace(gone))
		}
		if err != nil {
			q.failed.Add(1)
			if !q.failing {
				tp.Errorf("recorder: Config.Handler has not written a record: %v", err)
			}
		}
		q.failing = err != nil
	})
}

// Close waits until all records are written, or ctx has ended: then the error wraps
// ErrNotWritten and that of ctx. What is to be recorded after that is dropped. Close the
// peer before. Closing again waits again.
func (r *Recorder) Close(ctx context.Context) error {
	q := &r.queue
	for {
		q.mu.Lock()
		q.closed = true
		idle, writing, left := q.idle.Wait(), q.writing, q.pending()
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
	// Close. Failed counts those for which the Handler returned an error or panicked; the
	// first of several in a row is logged.
	Dropped, Failed uint64
	// Waiting is how many records wait to be written.
	Waiting int
}

// Stats returns what was not written.
func (r *Recorder) Stats() Stats {
	q := &r.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	return Stats{Dropped: q.dropped.Load(), Failed: q.failed.Load(), Waiting: q.pending()}
}
