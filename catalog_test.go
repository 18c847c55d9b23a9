package asyncapiimpl_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/asyncapi-impl/asyncapi-impl/catalog"
	"github.com/asyncapi-impl/asyncapi-impl/internal/matrix"
)

var write = flag.Bool("write", false, "write the files that go generate ./catalog is to write")

const regenerate = "go generate ./catalog"

// driverFiles are the files of every driver. It may have more.
var driverFiles = []string{
	"doc.go", "bindings.go", "contract.go", "security.go", "options.go", "producer.go", "consumer.go",
	"envelope.go", "conformance_test.go", "example_test.go", "broker_test.go",
}

// original is the driver that holds the original of the files which are the
// same in all drivers.
const original = "kafka/segmentio"

// core is the API that all drivers have.
var core = []string{
	"NewProducer func(serverURL string, bindings *ServerBindings, options *Options) (*Producer, error)",
	"Producer.Publisher func(ctx context.Context, address string, bindings *ChannelBindings) (*Publisher, error)",
	"Producer.Close func() error",
	"Publisher.Send func(ctx context.Context, envelopes ...*EnvelopeOut) error",
	"Publisher.Close func() error",
	"NewConsumer func(serverURL string, bindings *ServerBindings, options *Options) (*Consumer, error)",
	"Consumer.Subscriber func(ctx context.Context, address string, bindings *ChannelBindings) (*Subscriber, error)",
	"Consumer.Close func() error",
	"Subscriber.Receive func(ctx context.Context, handle func(context.Context, *EnvelopeIn) error) error",
	"Subscriber.Close func() error",
	"NewEnvelopeOut func() *EnvelopeOut",
	"EnvelopeOut.Write func(p []byte) (int, error)",
	"EnvelopeOut.ResetPayload func()",
	"EnvelopeOut.SetPayload func(payload []byte)",
	"EnvelopeOut.SetHeaders func(headers Headers)",
	"EnvelopeOut.SetContentType func(contentType string)",
	"EnvelopeOut.SetBindings func(bindings MessageBindings)",
	"EnvelopeIn.Read func(p []byte) (int, error)",
	"EnvelopeIn.Payload func() []byte",
	"EnvelopeIn.Headers func() Headers",
	"EnvelopeIn.Header func(key string) string",
	"EnvelopeIn.ContentType func() string",
	"Headers = map[string]any",
	"ServerBindings struct",
	"ChannelBindings struct",
	"ChannelBindings.Operation *OperationBindings",
	"OperationBindings struct",
	"MessageBindings struct",
	"Options.Security Security",
	"Options.TLS *crypto/tls.Config",
	"Options.Timeout time.Duration",
	"Options.Logger *log/slog.Logger",
	"SendErrors []error",
	"Reject func(err error) error",
	"ErrClosed error",
	"ErrUnsupported error",
	"ErrRefused error",
	"ErrNotFound error",
	"ErrUnauthorized error",
	"ErrTooLarge error",
}

func TestFiles(t *testing.T) {
	c := load(t)
	for _, d := range c.Drivers {
		for _, want := range driverFiles {
			if _, err := os.Stat(filepath.Join("catalog", d.ID(), want)); err != nil {
				t.Errorf("%s has no %s", d.ID(), want)
			}
		}
	}
}

// alike are more files that the drivers of a protocol share: those in which the
// library is not seen.
var alike = map[string][]string{
	"kafka": {"server.go"},
	"nats":  {"connection.go", "server.go"},
	"ws":    {"auth.go", "channel.go", "dial.go", "envelope.go", "errors.go", "listen.go", "server.go", "side.go"},
}

// TestTwins holds the files that stand identically in several drivers to the
// original: contract.go and security.go in all of them, bindings.go and those
// of alike in the ones of a protocol. The scaffold of a driver has the first
// two as well.
func TestTwins(t *testing.T) {
	c := load(t)
	for _, d := range c.Drivers {
		lead := c.Of(d.Protocol)[0].ID()
		twins := map[string]string{"contract.go": original, "security.go": original, "bindings.go": lead}
		for _, name := range alike[d.Protocol] {
			twins[name] = lead
		}
		for name, from := range twins {
			if from != d.ID() {
				twin(t, from, d.ID(), name)
			}
		}
		for _, name := range alike[d.Protocol] {
			if lead := c.Of(d.Protocol)[0].ID(); lead != d.ID() {
				twin(t, lead, d.ID(), name)
			}
		}
	}
	for _, name := range []string{"contract.go", "security.go"} {
		twin(t, original, "../internal/scaffold/proto", name)
	}
}

func twin(t *testing.T, from, to, name string) {
	t.Helper()
	src, err := os.ReadFile(filepath.Join("catalog", from, name))
	if err != nil {
		t.Error(err)
		return
	}
	clause := regexp.MustCompile(`(?m)^package ` + path.Base(from) + `$`)
	want := clause.ReplaceAll(src, []byte("package "+path.Base(to)))
	generated(t, filepath.Join("catalog", to, name), want, "edit catalog/"+from+"/"+name)
}

// generated holds a file to what it should be, or makes it so.
func generated(t *testing.T, file string, want []byte, advice string) {
	t.Helper()
	got, err := os.ReadFile(file)
	if err == nil && bytes.Equal(got, want) {
		return
	}
	if !*write {
		t.Errorf("%s is not as it should be: %s, then %s", filepath.ToSlash(file), advice, regenerate)
		return
	}
	if err := os.WriteFile(file, want, 0o644); err != nil {
		t.Error(err)
	}
}

const (
	tableStart = "<!-- drivers: written by " + regenerate + " -->\n"
	tableEnd   = "<!-- end of drivers -->\n"
)

func TestReadmeTable(t *testing.T) {
	c := load(t)
	table := "| protocol | driver | library | tested | notes |\n|---|---|---|---|---|\n"
	for _, d := range c.Drivers {
		m, _ := c.Requirement(d.Import)
		notes := d.Note
		if d.Default {
			notes = strings.TrimPrefix(notes+", default", ", ")
		}
		table += fmt.Sprintf("| %s | `%s` | %s | %s | %s |\n", d.Protocol, d.ID(),
			cmp.Or(d.Import, "standard library"), cmp.Or(m.Version, "Go "+d.Go), notes)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(readme), tableStart)
	_, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		t.Fatalf("README.md lacks %q or %q", tableStart, tableEnd)
	}
	generated(t, "README.md", []byte(before+tableStart+table+tableEnd+after), "edit catalog/catalog.go")
}

// results is what the conformance suite found, of the newest full run that was
// committed.
const results = "internal/matrix/results"

var ran = flag.String("results", "", "the directory of a full run's results, to compare with the committed ones (with -write: to commit)")

// TestResults: a full run must find what the committed results say.
func TestResults(t *testing.T) {
	if *ran == "" {
		t.Skip("no run to compare with: .ci/run gives one")
	}
	for _, d := range load(t).Drivers {
		pattern := strings.ReplaceAll(d.ID(), "/", "-") + "*.jsonl"
		now, err := filepath.Glob(filepath.Join(*ran, pattern))
		if err != nil || len(now) == 0 {
			t.Errorf("%s has no results in %s", d.ID(), *ran)
		}
		for _, file := range now {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			generated(t, filepath.Join(results, filepath.Base(file)), text, "go test . -run TestResults -write -results DIR")
		}
		committed, _ := filepath.Glob(filepath.Join(results, pattern))
		if len(committed) != len(now) {
			t.Errorf("%s: %d results are committed, the run had %d", d.ID(), len(committed), len(now))
		}
	}
}

// TestMatrix holds the tables that are made from the results.
func TestMatrix(t *testing.T) {
	all, err := matrix.Read(os.DirFS(results))
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	document, err := matrix.Splice(string(readme), matrix.Markdown(all))
	if err != nil {
		t.Fatal(err)
	}
	generated(t, "README.md", []byte(document), "commit the results")
	texts := map[string][]string{}
	for _, d := range load(t).Drivers {
		texts[d.ID()] = matrix.Text(all, d.ID())
		if len(texts[d.ID()]) == 0 {
			t.Errorf("%s has no results in %s", d.ID(), results)
		}
	}
	data, err := json.MarshalIndent(texts, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	generated(t, "catalog/results.json", append(data, '\n'), "commit the results")
	for _, r := range all {
		if r.Outcome == "fail" {
			t.Errorf("%s with %s: %s failed in the committed run", r.Driver, r.Broker, r.Check)
		}
	}
}

// TestImports: a driver needs the standard library and its one client library.
// The tests that are ejected need the suite beside that; the others may use all
// of this repository.
func TestImports(t *testing.T) {
	ejected := []string{"conformance_test.go", "example_test.go"}
	c := load(t)
	for _, d := range c.Drivers {
		library, _ := c.Requirement(d.Import)
		for name, f := range parsed(t, d.ID(), parser.ImportsOnly) {
			for _, spec := range f.Imports {
				p, err := strconv.Unquote(spec.Path.Value)
				if err != nil {
					t.Fatal(err)
				}
				_, required := c.Requirement(p)
				switch {
				case !strings.Contains(strings.Split(p, "/")[0], "."):
				case library.Path != "" && within(p, library.Path):
				case strings.HasSuffix(name, "_test.go") && !slices.Contains(ejected, name) && (required || within(p, c.Module)):
				case slices.Contains(ejected, name) && (p == c.Path()+"/"+d.ID() || p == c.Path()+"/"+catalog.Suite):
				default:
					t.Errorf("%s/%s must not import %s", d.ID(), name, p)
				}
			}
		}
	}
	for name, f := range parsed(t, catalog.Suite, parser.ImportsOnly) {
		for _, spec := range f.Imports {
			if strings.Contains(strings.Split(spec.Path.Value, "/")[0], ".") {
				t.Errorf("%s/%s must not import %s", catalog.Suite, name, spec.Path.Value)
			}
		}
	}
}

func within(p, root string) bool { return p == root || strings.HasPrefix(p, root+"/") }

func TestPackageDoc(t *testing.T) {
	for _, d := range load(t).Drivers {
		for name, f := range parsed(t, d.ID(), parser.PackageClauseOnly|parser.ParseComments) {
			if name != "doc.go" {
				if f.Doc != nil {
					t.Errorf("%s/%s has a package doc; it belongs in doc.go", d.ID(), name)
				}
				continue
			}
			text := f.Doc.Text()
			if !strings.HasPrefix(text, "Package "+d.Library+" ") {
				t.Errorf("%s: the package doc must begin %q", d.ID(), "Package "+d.Library+" ")
			}
			first, _, _ := strings.Cut(text, "\n\n")
			if !strings.Contains(strings.ReplaceAll(first, "\n", " "), "yours to change") {
				t.Errorf("%s: the package doc must say first that the copy is yours to change", d.ID())
			}
		}
	}
}

func TestText(t *testing.T) {
	c := load(t)
	err := fs.WalkDir(c.FS, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		src, err := fs.ReadFile(c.FS, name)
		for _, word := range []string{"TODO", "FIXME", "XXX", "Code generated", "Copyright", "SPDX-"} {
			if bytes.Contains(src, []byte(word)) {
				t.Errorf("%s contains %q", name, word)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestDocumented: every exported name has a doc comment of its own or its
// group's, but for methods that an exported interface documents.
func TestDocumented(t *testing.T) {
	c := load(t)
	for _, d := range c.Drivers {
		files := parsed(t, d.ID(), parser.ParseComments)
		known := []string{"Error", "Unwrap", "String"}
		for _, f := range files {
			ast.Inspect(f, func(n ast.Node) bool {
				if i, ok := n.(*ast.InterfaceType); ok {
					for _, m := range i.Methods.List {
						for _, name := range m.Names {
							known = append(known, name.Name)
						}
					}
				}
				return true
			})
		}
		for name, f := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			for _, missing := range undocumented(f, known) {
				t.Errorf("%s/%s: %s has no doc comment", d.ID(), name, missing)
			}
		}
	}
}

func undocumented(f *ast.File, known []string) []string {
	var missing []string
	check := func(name string, docs ...*ast.CommentGroup) {
		if ast.IsExported(name) && !slices.ContainsFunc(docs, func(g *ast.CommentGroup) bool { return g != nil }) {
			missing = append(missing, name)
		}
	}
	for _, decl := range f.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if decl.Recv == nil || !slices.Contains(known, decl.Name.Name) && exportedReceiver(decl.Recv) {
				check(decl.Name.Name, decl.Doc)
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					check(spec.Name.Name, spec.Doc, decl.Doc)
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						check(name.Name, spec.Doc, spec.Comment, decl.Doc)
					}
				}
			}
		}
	}
	return missing
}

func exportedReceiver(recv *ast.FieldList) bool {
	t := recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	name, ok := t.(*ast.Ident)
	return ok && name.IsExported()
}

// TestAPI: a driver has the API of all drivers, and that of the others of its
// protocol, so that one can take the other's place. What names the client
// library is its own.
func TestAPI(t *testing.T) {
	c := load(t)
	exports := exportData(t)
	imports := importer.ForCompiler(token.NewFileSet(), "gc", func(p string) (io.ReadCloser, error) {
		return os.Open(exports[p])
	})
	apis := map[string]map[string]string{}
	for _, d := range c.Drivers {
		pkg, err := imports.Import(c.Path() + "/" + d.ID())
		if err != nil {
			t.Fatal(err)
		}
		library, _ := c.Requirement(d.Import)
		apis[d.ID()] = api(pkg, library.Path)
	}
	for _, d := range c.Drivers {
		has := apis[d.ID()]
		for _, line := range core {
			name, want, _ := strings.Cut(line, " ")
			if has[name] != want {
				t.Errorf("%s: %s is %q, want %q", d.ID(), name, has[name], want)
			}
		}
		lead := c.Of(d.Protocol)[0]
		for name := range maps.Keys(union(has, apis[lead.ID()])) {
			if has[name] != apis[lead.ID()][name] {
				t.Errorf("%s: %s is %q, but %q in %s", d.ID(), name, has[name], apis[lead.ID()][name], lead.ID())
			}
		}
	}
}

func union(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// exportData gives the compiler's export files of the drivers and of all that
// they import.
func exportData(t *testing.T) map[string]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}", "./catalog/...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for line := range strings.Lines(string(out)) {
		p, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		files[p] = file
	}
	return files
}

// api lists the exported names of a package with their types, but for those
// that mention the client library or are its, whatever they give.
func api(pkg *types.Package, library string) map[string]string {
	list := map[string]string{}
	add := func(name string, t types.Type) {
		text := types.TypeString(t, types.RelativeTo(pkg))
		if !strings.HasSuffix(name, ".Native") && (library == "" || !strings.Contains(text, library)) {
			list[name] = text
		}
	}
	for _, name := range pkg.Scope().Names() {
		object := pkg.Scope().Lookup(name)
		if !object.Exported() {
			continue
		}
		typeName, isType := object.(*types.TypeName)
		if !isType {
			add(name, object.Type())
			continue
		}
		if typeName.IsAlias() {
			list[name] = "= " + types.TypeString(types.Unalias(object.Type()), types.RelativeTo(pkg))
			continue
		}
		fields, isStruct := object.Type().Underlying().(*types.Struct)
		if !isStruct {
			add(name, object.Type().Underlying())
		} else {
			list[name] = "struct"
			for f := range fields.Fields() {
				if f.Exported() {
					add(name+"."+f.Name(), f.Type())
				}
			}
		}
		methods := types.NewMethodSet(types.NewPointer(object.Type()))
		for m := range methods.Methods() {
			if m.Obj().Exported() {
				add(name+"."+m.Obj().Name(), m.Type())
			}
		}
	}
	return list
}

func load(t *testing.T) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func parsed(t *testing.T, dir string, mode parser.Mode) map[string]*ast.File {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join("catalog", dir))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]*ast.File{}
	for _, e := range entries {
		src, err := os.ReadFile(filepath.Join("catalog", dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		f, err := parser.ParseFile(token.NewFileSet(), path.Join(dir, e.Name()), src, mode)
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = f
	}
	return files
}
