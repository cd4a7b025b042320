# Run `make` for the list of targets.
#
# Every target that tests, lints or measures visits every module: the root and
# each nested go.mod, except tools/, which only pins the tools.

SHELL := /bin/bash

GO      ?= go
MODULES := $(sort $(patsubst %/go.mod,%,$(shell find . -name go.mod -not -path './tools/*' -not -path '*/testdata/*' -not -path './.*/*')))
BIN     := $(CURDIR)/.bin

FUZZTIME  ?= 10s
BENCH     ?= .
BENCHTIME ?= 1x
COUNT     ?= 1
# Statement coverage, in per cent, below which `make cover` fails.
MINCOVER  ?= 85

# $(call each,command) runs a command in each module and stops at the first that fails.
each = set -euo pipefail; for m in $(MODULES); do echo "== $$m: $(1)"; (cd "$$m" && $(1)); done

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: test
test: need-cc ## vet and test every module, with the race detector
	@$(call each,$(GO) vet ./... && $(GO) test -race -count=1 ./...)
	$(GO) test -count=1 ./socket # with the system calls that the race detector must not miss
	$(GO) test -count=1 ./internal/matrix # with 1,000 at once through filters too

.PHONY: race
race: need-cc ## hunt for races: test every module 5 times on 1, 2 and 4 Ps
	@$(call each,$(GO) test -race -count=5 -cpu=1$(comma)2$(comma)4 ./...)

comma := ,

# The race detector links C. Without a compiler, go only says that -race
# requires cgo, which names neither the reason nor the remedy.
.PHONY: need-cc
need-cc:
	@cc="$$($(GO) env CC)"; if ! command -v "$${cc%% *}" >/dev/null; then \
	  echo "The race detector needs a C compiler, and there is no '$$cc' here." >&2; \
	  echo "Install one (Debian: apt-get install gcc libc6-dev), or run the tests without it: go test ./..." >&2; \
	  exit 1; \
	elif [ "$$($(GO) env CGO_ENABLED)" != 1 ]; then \
	  echo "The race detector needs cgo, and CGO_ENABLED is off: unset it, or set it to 1." >&2; \
	  exit 1; \
	fi

# A run is reproducible as far as its seed goes: the scheduler has its say.
DURATION ?= 1m
SEED     ?= $(shell date +%s)

.PHONY: soak
soak: ## run peers under all faults at random: DURATION=1m SEED=n
	@$(GO) run ./internal/soak -duration $(DURATION) -seed $(SEED)

# The faults of doc/reliability.md in their full sizes. Memory and time are what is
# measured, so without the race detector, which changes both.
.PHONY: reliability
reliability: ## run the faults of doc/reliability.md in full and print their figures; 5 minutes
	@TP_FULL=1 $(GO) test -count=1 -v -timeout 20m -run '^TestFault|^TestClaims' . ./socket

.PHONY: tools
tools: ## build the pinned tools into .bin/
	@mkdir -p $(BIN)
	@cd tools && GOWORK=off $(GO) build -o $(BIN)/ tool

# go.mod is looked at without go.work, as a user's build sees it. Nested
# modules cannot be: they need the root as it is here.
.PHONY: lint
lint: tools ## check the format (gofumpt), go.mod, and staticcheck in every module
	@out="$$($(BIN)/gofumpt -l .)" || exit 1; if [ -n "$$out" ]; then \
	  echo "not formatted, run .bin/gofumpt -w on:"; echo "$$out"; exit 1; fi
	@GOWORK=off $(GO) mod tidy -diff
	@$(call each,$(BIN)/staticcheck ./...)

# go test fuzzes one function of one package at a time.
.PHONY: fuzz
fuzz: ## fuzz every Fuzz function for FUZZTIME (10s) each
	@set -euo pipefail; for m in $(MODULES); do cd "$(CURDIR)/$$m"; \
	  list="$$($(GO) test -vet=off -list '^Fuzz' ./...)"; \
	  awk '/^Fuzz/ { name[n++] = $$1 } /^ok/ { for (i = 0; i < n; i++) print $$2, name[i]; n = 0 }' <<<"$$list" | \
	  while read -r pkg name; do \
	    echo "== $$pkg $$name"; $(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$pkg" </dev/null; \
	  done; \
	done

# The default only proves that the benchmarks still run. To measure:
#   make bench BENCHTIME=1s COUNT=10 >new.txt && .bin/benchstat old.txt new.txt
.PHONY: bench
bench: ## run every benchmark: BENCH=regexp BENCHTIME=1x COUNT=1
	@$(call each,$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -benchtime $(BENCHTIME) -count $(COUNT) ./...)

.PHONY: bench-table
bench-table: bench-build ## compare with raw TCP and others, rewrite doc/performance.md; 12 minutes; BENCHFLAGS=
	@cd bench && $(BIN)/bench/bench $(BENCHFLAGS)

.PHONY: bench-short
bench-short: bench-build ## prove that each stack and scenario of bench-table still works
	@cd bench && $(BIN)/bench/bench -short

.PHONY: bench-build
bench-build:
	@mkdir -p $(BIN)/bench; cd bench && $(GO) build -o $(BIN)/bench/ . ./stacks/...

# Within 50 s in all, also where nothing is compiled yet: what the build takes is
# taken off the measuring. So only what is measured is built, the tag leaves out
# gRPC's use of templates; packages compile faster without debugging information, to
# the same code; and GOGC is the compiler's.
.PHONY: bench-gate
bench-gate: ## fail if teleport became slow, as seen from raw TCP; takes 50 s at most
	@mkdir -p $(BIN)/bench; cd bench && GOGC=800 $(GO) build -tags grpcnotrace -gcflags=all=-dwarf=false \
	  -ldflags='-s -w' -o $(BIN)/bench/ . ./stacks/{raw,tp,grpc} && $(BIN)/bench/bench -gate -within $$((46 - SECONDS))s

.PHONY: cover
cover: ## print the coverage; fail if root, socket, codec or xfer are under 85 %
	@set -euo pipefail; $(GO) test -count=1 -cover . ./socket ./codec ./xfer ./utils | \
	awk -v min=$(MINCOVER) ' \
	  { print } \
	  /^(FAIL|---)/ { bad = 1 } \
	  match($$0, /coverage: [0-9.]+%/) { \
	    pkg = ($$1 == "ok") ? $$2 : $$1; pct = substr($$0, RSTART + 10, RLENGTH - 11) + 0; \
	    if (pkg !~ /\/utils$$/ && pct < min) { low = low "\n  " pkg " " pct "%"; bad = 1 } } \
	  END { if (low) print "under " min "%:" low; exit bad }'

.PHONY: samples
samples: ## build every program in samples/
	$(GO) build -o /dev/null ./samples/...
