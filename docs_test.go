package tp_test

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode"

	tp "github.com/henrylee2cn/teleport"
)

// The manual is tested: its links lead somewhere, its code is that of tests
// which run, and its tables are complete.

func readDoc(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// markdownFiles returns the names of all Markdown files of the repository.
func markdownFiles(t *testing.T) (names []string) {
	t.Helper()
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if base := d.Name(); d.IsDir() && name != "." && (strings.HasPrefix(base, ".") || base == "testdata") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(name, ".md") {
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

var (
	fencedBlock  = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")
	inlineCode   = regexp.MustCompile("`[^`\n]*`")
	markdownLink = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	heading      = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// withoutCode returns the text without what is shown as code.
func withoutCode(text string) string {
	return inlineCode.ReplaceAllString(fencedBlock.ReplaceAllString(text, ""), "")
}

// anchors returns the names that GitHub gives to the headings.
func anchors(text string) map[string]bool {
	names := map[string]bool{}
	for _, h := range heading.FindAllStringSubmatch(fencedBlock.ReplaceAllString(text, ""), -1) {
		names[strings.Map(func(r rune) rune {
			switch {
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			case r == ' ':
				return '-'
			}
			return -1
		}, h[1])] = true
	}
	return names
}

func TestMarkdownLinks(t *testing.T) {
	for _, name := range markdownFiles(t) {
		text := readDoc(t, name)
		for _, m := range markdownLink.FindAllStringSubmatch(withoutCode(text), -1) {
			link := m[1]
			if strings.Contains(link, "://") || strings.HasPrefix(link, "mailto:") {
				continue
			}
			file, anchor, _ := strings.Cut(link, "#")
			target, in := name, text
			if file != "" {
				target = filepath.Join(filepath.Dir(name), filepath.FromSlash(file))
				if _, err := os.Stat(target); err != nil {
					t.Errorf("%s links to %s, which is not there", name, link)
					continue
				}
				in = ""
			}
			if anchor == "" {
				continue
			}
			if in == "" {
				in = readDoc(t, target)
			}
			if !anchors(in)[anchor] {
				t.Errorf("%s links to %s: %s has no such heading", name, link, target)
			}
		}
	}
}

// exampleCode returns the text of the example tests, and of the one that is a
// whole program as such.
func exampleCode(t *testing.T) string {
	t.Helper()
	names, err := filepath.Glob("example*_test.go")
	if err != nil || len(names) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, pattern := range []string{"plugin/*/example*_test.go", "plugin/*/*/example*_test.go"} {
		ofPlugins, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, ofPlugins...)
	}
	var all strings.Builder
	for _, name := range names {
		all.WriteString(readDoc(t, name))
	}
	program := readDoc(t, "example_readme_test.go")
	program = strings.Replace(program, "package tp_test\n", "package main\n", 1)
	program = strings.Replace(program, "func Example() {\n", "func main() {\n", 1)
	if at := strings.Index(program, "\t// Output:"); at >= 0 {
		program = program[:at] + "}\n"
	}
	return all.String() + program
}

func TestGoCodeIsThatOfTheExamples(t *testing.T) {
	examples := exampleCode(t)
	total := 0
	for _, name := range markdownFiles(t) {
		if strings.HasPrefix(name, "samples"+string(filepath.Separator)) {
			continue
		}
		for _, m := range fencedBlock.FindAllStringSubmatch(readDoc(t, name), -1) {
			if m[1] != "go" {
				continue
			}
			total++
			if !strings.Contains(examples, m[2]) {
				t.Errorf("%s: this is not in example*_test.go:\n%s", name, m[2])
			}
		}
	}
	if total < 10 {
		t.Errorf("only %d blocks of Go code: were they found?", total)
	}
}

func TestReadmeProgramIsWhole(t *testing.T) {
	for _, name := range []string{"README.md", "README_ZH.md"} {
		text := readDoc(t, name)
		at := strings.Index(text, "```go\npackage main\n")
		if at < 0 || !strings.Contains(text[at:], "\nfunc main() {\n") {
			t.Errorf("%s has no whole program", name)
		}
	}
}

func TestReadmesHaveOneStructure(t *testing.T) {
	shape := func(name string) (marks []string) {
		text := readDoc(t, name)
		for _, line := range strings.Split(fencedBlock.ReplaceAllString(text, "CODE\n"), "\n") {
			switch {
			case strings.HasPrefix(line, "#"):
				marks = append(marks, strings.TrimRight(line[:strings.Index(line, " ")], " "))
			case strings.HasPrefix(line, "|"), strings.HasPrefix(line, "- "), line == "CODE":
				marks = append(marks, line[:1])
			}
		}
		return marks
	}
	english, chinese := shape("README.md"), shape("README_ZH.md")
	if !reflect.DeepEqual(english, chinese) {
		t.Errorf("headings, lists, tables and code differ:\n%q\n%q", english, chinese)
	}
}

func TestReadmesNameEachSettingAndCode(t *testing.T) {
	var names []string
	typ := reflect.TypeFor[tp.PeerConfig]()
	for i := 0; i < typ.NumField(); i++ {
		name := typ.Field(i).Tag.Get("yaml")
		if name == "" || name == "-" {
			name = typ.Field(i).Name
		}
		names = append(names, "| `"+name+"` |")
	}
	codes := regexp.MustCompile(`(?m)^\t(Code\w+) = (\d+)$`).FindAllStringSubmatch(readDoc(t, "code.go"), -1)
	if len(codes) < 10 {
		t.Fatalf("code.go has only %d codes: were they found?", len(codes))
	}
	for _, c := range codes {
		names = append(names, "| "+c[2]+" | `"+c[1]+"` |")
	}
	for _, doc := range []string{"README.md", "README_ZH.md"} {
		text := readDoc(t, doc)
		for _, name := range names {
			if n := strings.Count(text, name); n != 1 {
				t.Errorf("%s has %d lines of %s, want one", doc, n, name)
			}
		}
	}
}

func TestDocsNameEachHookAndDependency(t *testing.T) {
	plugins := readDoc(t, filepath.Join("doc", "plugins.md"))
	typ := reflect.TypeFor[tp.PluginContainer]()
	hooks := 0
	for i := 0; i < typ.NumMethod(); i++ {
		name := typ.Method(i).Name
		if !strings.HasPrefix(name, "Pre") && !strings.HasPrefix(name, "Post") {
			continue
		}
		hooks++
		if !strings.Contains(plugins, "| `"+name+"` |") {
			t.Errorf("doc/plugins.md has no line of %s", name)
		}
	}
	if hooks != 23 {
		t.Errorf("there are %d hooks; the manual says 23", hooks)
	}
	deps := readDoc(t, filepath.Join("doc", "dependencies.md"))
	for _, name := range dependencies {
		if !strings.Contains(deps, "`"+name+"`") {
			t.Errorf("doc/dependencies.md does not name %s", name)
		}
	}
	for file, modules := range required(t) {
		for _, name := range modules {
			named := strings.Contains(deps, "`"+name+"`")
			for of := path.Dir(name); !named && of != "."; of = path.Dir(of) { // such as .../otel/metric, where .../otel is
				named = strings.Contains(deps, "`"+of+"`")
			}
			if !named {
				t.Errorf("doc/dependencies.md does not name %s, which %s requires", name, file)
			}
		}
	}
}

// required returns the modules that each go.mod requires by itself, those of tools and of
// testdata aside.
func required(t *testing.T) map[string][]string {
	t.Helper()
	line := regexp.MustCompile(`(?m)^(?:require )?\s*([a-z0-9.-]+\.[a-z]+/\S+) v\S+$`) // without "// indirect"
	all := make(map[string][]string)
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || file == "tools" || file != "." && strings.HasPrefix(d.Name(), ".")):
			return filepath.SkipDir
		case d.Name() == "go.mod":
			for _, m := range line.FindAllStringSubmatch(readDoc(t, file), -1) {
				all[file] = append(all[file], m[1])
			}
		}
		return nil
	})
	if err != nil || len(all) < 8 {
		t.Fatalf("%d go.mod files require modules, %v", len(all), err)
	}
	return all
}
