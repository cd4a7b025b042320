// Command promql evaluates expressions over two scrapes of one endpoint, as Prometheus
// does a minute after the first of them, which is the time of the second:
//
//	promql FIRST SECOND <EXPRESSIONS
//
// Standard input is a JSON array of expressions, the output one of results.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"slices"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

// between is the time between the two scrapes.
const between = time.Minute

// result is what became of an expression. Values are text: JSON has no NaN.
type result struct {
	Err      string
	Warnings []string // and what Prometheus calls infos
	Series   []series
}

type series struct {
	Labels map[string]string
	Value  string
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	if len(os.Args) != 3 {
		return fmt.Errorf("usage: %s FIRST SECOND <EXPRESSIONS", os.Args[0])
	}
	var exprs []string
	if err := json.NewDecoder(os.Stdin).Decode(&exprs); err != nil {
		return err
	}
	db := make(database)
	for i, file := range os.Args[1:] {
		if err := db.add(file, int64(i)*between.Milliseconds()); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples: 1 << 20, Timeout: time.Minute, LookbackDelta: 5 * time.Minute, Parser: parser.NewParser(parser.Options{}),
	})
	results := make([]result, 0, len(exprs))
	for _, expr := range exprs {
		results = append(results, evaluate(engine, db, expr))
	}
	return json.NewEncoder(os.Stdout).Encode(results)
}

func evaluate(engine *promql.Engine, db database, expr string) (r result) {
	ctx := context.Background()
	query, err := engine.NewInstantQuery(ctx, db, nil, expr, time.UnixMilli(0).Add(between))
	if err != nil {
		return result{Err: err.Error()}
	}
	defer query.Close()
	got := query.Exec(ctx)
	for _, warning := range got.Warnings.AsErrors() {
		r.Warnings = append(r.Warnings, warning.Error())
	}
	vector, err := got.Vector()
	if err != nil {
		r.Err = err.Error()
		return r
	}
	for _, sample := range vector {
		r.Series = append(r.Series, series{sample.Metric.Map(), fmt.Sprint(sample.F)})
	}
	return r
}

// database has the samples of each series, by its labels.
type database map[string]*promql.Series

var (
	_ storage.Queryable = database{}
	_ storage.Querier   = database{}
)

// add adds a scrape at a time in milliseconds.
func (db database) add(file string, at int64) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	text := expfmt.NewTextParser(model.UTF8Validation)
	families, err := text.TextToMetricFamilies(f)
	if err != nil {
		return err
	}
	for _, family := range families {
		samples, err := expfmt.ExtractSamples(&expfmt.DecodeOptions{Timestamp: model.Time(at)}, family)
		if err != nil {
			return err
		}
		for _, sample := range samples {
			metric := map[string]string{"job": "teleport", "instance": "127.0.0.1:9090"} // as a scrape adds them
			for name, value := range sample.Metric {
				metric[string(name)] = string(value)
			}
			lset := labels.FromMap(metric)
			if db[lset.String()] == nil {
				db[lset.String()] = &promql.Series{Metric: lset}
			}
			s := db[lset.String()]
			s.Floats = append(s.Floats, promql.FPoint{T: at, F: float64(sample.Value)})
		}
	}
	return nil
}

// Querier implements storage.Queryable.
func (db database) Querier(_, _ int64) (storage.Querier, error) { return db, nil }

// Select implements storage.Querier.
func (db database) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	set := &seriesSet{at: -1}
	for _, s := range db {
		if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(s.Metric.Get(m.Name)) }) {
			set.all = append(set.all, s)
		}
	}
	slices.SortFunc(set.all, func(a, b *promql.Series) int { return labels.Compare(a.Metric, b.Metric) })
	return set
}

// LabelValues implements storage.Querier. Expressions do not ask for it.
func (database) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// LabelNames implements storage.Querier. Expressions do not ask for it.
func (database) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// Close implements storage.Querier.
func (database) Close() error { return nil }

// seriesSet goes through the series that were selected.
type seriesSet struct {
	all []*promql.Series
	at  int
}

func (s *seriesSet) Next() bool                        { s.at++; return s.at < len(s.all) }
func (s *seriesSet) At() storage.Series                { return promql.NewStorageSeries(*s.all[s.at]) }
func (s *seriesSet) Err() error                        { return nil }
func (s *seriesSet) Warnings() annotations.Annotations { return nil }
