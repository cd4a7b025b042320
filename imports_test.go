package tp_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const modulePath = "github.com/henrylee2cn/teleport"

// layers says, by folder, which folders of this module a package may import;
// "" is the root, "x/*" all that is below x, and "*" everything. Imports run
// one way: utils <- codec, xfer <- socket <- tp <- tptest, so that who needs only
// a part gets only that, and no leaf can come to depend on the whole. Everyone may
// import internal/*, which itself imports nothing else.
var layers = map[string][]string{
	"utils":       {},
	"codec":       {"utils"},
	"codec/*":     {"codec"},
	"xfer":        {"utils"},
	"xfer/*":      {"xfer"},
	"socket":      {"utils", "codec", "xfer"},
	"transport":   {},
	"transport/*": {"transport"},
	"proto":       {""}, // it has no code, but the tests of all of them on peers
	"proto/*":     {"utils", "codec", "xfer", "socket"},
	"internal/*":  {},

	"internal/filtertest": {"xfer"},
	"internal/formats":    {""},
	"internal/protometa":  {"utils"},
	"internal/prototest":  {"utils", "codec", "xfer", "socket"},
	"internal/soak":       {"", "tptest/relay"},

	"":          {"utils", "codec", "xfer", "socket", "transport"},
	"tptest":    {"", "socket"},
	"tptest/*":  {},
	"plugin/*":  {"*"},
	"samples":   {"*"},
	"samples/*": {"*"},
	"cmd/*":     {"*"},
	"bench/*":   {"*"},
}

// dependencies are the modules that a program which imports the root package
// is linked with. doc/dependencies.md gives the reason of each.
var dependencies = []string{
	"github.com/henrylee2cn/ameda",
	"github.com/henrylee2cn/goutil",
	"github.com/json-iterator/go",
	"github.com/modern-go/concurrent",
	"github.com/modern-go/reflect2",
	"github.com/valyala/bytebufferpool",
	"google.golang.org/protobuf",
}

// listedPackage is what go list -json prints of a package.
type listedPackage struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
	Module       *struct{ Path string }
}

// goList runs go list -json.
func goList(t *testing.T, args ...string) []listedPackage {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,TestImports,XTestImports,Module"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, &stderr)
	}
	var packages []listedPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listedPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatalf("%v: %v", cmd, err)
		}
		packages = append(packages, p)
	}
}

// folder returns where in the module an import path is, and whether it is of
// the module at all.
func folder(importPath string) (string, bool) {
	if importPath == modulePath {
		return "", true
	}
	return strings.CutPrefix(importPath, modulePath+"/")
}

// layerOf returns the entry of layers that a folder falls under.
func layerOf(folder string) (string, bool) {
	if _, ok := layers[folder]; ok {
		return folder, true
	}
	top, _, _ := strings.Cut(folder, "/")
	layer := top + "/*"
	_, ok := layers[layer]
	return layer, ok
}

func TestImportsRunOneWay(t *testing.T) {
	packages := goList(t, "./...")
	if len(packages) < 5 {
		t.Fatalf("go list ./... lists only %d packages", len(packages))
	}
	for _, p := range packages {
		from, _ := folder(p.ImportPath)
		layer, ok := layerOf(from)
		if !ok {
			t.Errorf("%s has no line in layers: say what it may import", p.ImportPath)
			continue
		}
		may := layers[layer]
		if slices.Contains(may, "*") {
			continue
		}
		for _, imported := range p.Imports {
			to, ours := folder(imported)
			if !ours || strings.HasPrefix(to, "internal/") || slices.Contains(may, to) {
				continue
			}
			t.Errorf("%s imports %s, which it may not: see layers", p.ImportPath, imported)
		}
		if from == "" || slices.Contains(may, "") {
			continue
		}
		for _, imported := range append(p.TestImports, p.XTestImports...) {
			if imported == modulePath {
				t.Errorf("a test of %s imports the root package", p.ImportPath)
			}
		}
	}
}

func TestDependencies(t *testing.T) {
	got := map[string]bool{}
	for _, p := range goList(t, "-deps", ".") {
		if p.Module != nil && p.Module.Path != modulePath {
			got[p.Module.Path] = true
		}
	}
	for _, want := range dependencies {
		if !got[want] {
			t.Errorf("%s is no dependency any more: take it off this list and out of doc/dependencies.md", want)
		}
		delete(got, want)
	}
	for path := range got {
		t.Errorf("%s is a new dependency: give its reason in doc/dependencies.md, then add it here", path)
	}
}

// go.work names each module of the repository, but for tools and those of tests: make
// visits them all, and one that go.work does not name cannot be built.
func TestWorkspaceNamesEachModule(t *testing.T) {
	work, err := os.ReadFile("go.work")
	if err != nil {
		t.Fatal(err)
	}
	modules := 0
	err = filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (path == "tools" || entry.Name() == "testdata" || path != "." && strings.HasPrefix(entry.Name(), ".")) {
			return filepath.SkipDir
		}
		if entry.Name() != "go.mod" || path == "go.mod" {
			return nil
		}
		modules++
		if dir := "./" + filepath.ToSlash(filepath.Dir(path)); !strings.Contains(string(work), "\t"+dir+"\n") {
			t.Errorf("go.work does not name %s", dir)
		}
		return nil
	})
	if err != nil || modules == 0 {
		t.Errorf("%d modules, %v", modules, err)
	}
}
