package report

import (
	"testing"

	"github.com/henrylee2cn/teleport/bench/internal/scenario"
)

func TestCatalogNamesAllThatIsMeasured(t *testing.T) {
	for _, s := range scenario.All() {
		if what(scenarios, s.ID) == "" {
			t.Errorf("scenario %s is not in the catalog", s.ID)
		}
		for _, stack := range s.Stacks {
			if what(stacks, stack) == "" {
				t.Errorf("stack %s is not in the catalog", stack)
			}
		}
	}
	if len(scenarios) != len(scenario.All()) {
		t.Errorf("the catalog has %d scenarios, and %d are measured", len(scenarios), len(scenario.All()))
	}
}
