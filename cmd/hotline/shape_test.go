package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "hotline12345/"

// mayImport says which of our packages a room may name outside its own
// top-level folder. The arrows run one way: every room speaks hotline's words,
// nobody but cmd names sip, dispatch, reports or configs, and nothing under
// hotline names anything above it.
var mayImport = map[string][]string{
	"configs":  {"hotline"},
	"sip":      {"hotline"},
	"sip/acd":  {"hotline", "hotline/live"},
	"dispatch": {"hotline", "hotline/pg", "hotline/text"},
	"reports":  {"hotline", "hotline/pg", "hotline/text"},
}

// levels orders the rooms of hotline: a room imports only rooms of a lower
// level, so no cycle can be written.
var levels = map[string]int{
	"hotline":    0,
	"hotline/pg": 1, "hotline/live": 1, "hotline/web": 1,
	"hotline/outbox": 2, "hotline/city": 2, "hotline/auth": 3,
	"hotline/citizen": 3, "hotline/agent": 3,
	"hotline/cdr": 4, "hotline/workorder": 4,
	"hotline/console": 5, "hotline/httpapi": 6,
	"hotline/hotlinetest": 7,
}

// roomOf says which packages may import a third-party module.
var roomOf = map[string][]string{
	"github.com/emiago/sipgo":        {"sip", "sip/siptest"},
	"github.com/icholy/digest":       {"sip/siptest"},
	"github.com/gorilla/websocket":   {"hotline/console"},
	"github.com/redis/go-redis/v9":   {"hotline/live", "hotline/hotlinetest", "sip", "sip/acd"},
	"github.com/alicebob/miniredis":  {"hotline/live"},
	"github.com/robfig/cron/v3":      {"cmd/hotline"},
	"github.com/alecthomas/kong":     {"cmd/hotline", "cmd/callsim"},
	"github.com/pressly/goose/v3":    {"hotline/pg"},
	"github.com/goccy/go-yaml":       {"configs"},
	"github.com/mozillazg/go-pinyin": {"configs"},
	"github.com/danielgtaylor/huma":  {"hotline/httpapi"},
	"github.com/prometheus":          {"hotline/httpapi"},
	"github.com/alexedwards/scs":     {"hotline/auth"},
	"golang.org/x/crypto":            {"hotline/auth"},
}

// storeRooms may use pgx: hotline/pg and the owners of tables, each in its
// store.go.
var storeRooms = []string{"hotline/pg", "hotline/hotlinetest", "hotline/outbox", "hotline/city", "hotline/auth",
	"hotline/agent", "hotline/citizen", "hotline/workorder", "hotline/cdr", "reports", "reports/stats"}

// goFile is one parsed source of the tree.
type goFile struct {
	path, dir string
	test      bool
	file      *ast.File
}

func sources(t *testing.T) []goFile {
	t.Helper()
	var all []goFile
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel := filepath.ToSlash(strings.TrimPrefix(path, "../../"))
		if d.IsDir() {
			if d.Name() == "node_modules" || d.Name() == ".git" || d.Name() == "data" {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(rel, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		all = append(all, goFile{path: rel, dir: filepath.ToSlash(filepath.Dir(rel)), test: strings.HasSuffix(rel, "_test.go"), file: f})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 50 {
		t.Fatalf("only %d Go files found: the walk is wrong", len(all))
	}
	return all
}

func TestShapeArrows(t *testing.T) {
	t.Parallel()
	for _, f := range sources(t) {
		if f.test || strings.HasPrefix(f.dir, "cmd") {
			continue
		}
		top, _, _ := strings.Cut(f.dir, "/")
		for _, spec := range f.file.Imports {
			own, ok := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), module)
			if !ok {
				continue
			}
			to, _, _ := strings.Cut(own, "/")
			switch {
			case top == "hotline":
				level, known := levels[own]
				if !known || level >= levels[f.dir] {
					t.Errorf("%s imports %s: a room of hotline imports only rooms below it", f.path, own)
				}
			case to == top:
			case !slices.Contains(mayImport[top], own) && !slices.Contains(mayImport[f.dir], own) && own != "hotline/hotlinetest" && f.dir != "sip/siptest":
				t.Errorf("%s imports %s; %s may only name %v", f.path, own, f.dir, mayImport[top])
			}
		}
	}
}

func TestShapeModulesStayInTheirRooms(t *testing.T) {
	t.Parallel()
	for _, f := range sources(t) {
		for _, spec := range f.file.Imports {
			imp := strings.Trim(spec.Path.Value, `"`)
			if strings.HasPrefix(imp, "github.com/jackc/pgx/v5") && !f.test && !strings.HasPrefix(f.dir, "cmd") && !slices.Contains(storeRooms, f.dir) {
				t.Errorf("%s imports pgx, which lives in hotline/pg and each owner's store.go", f.path)
			}
			for mod, rooms := range roomOf {
				if f.test || (imp != mod && !strings.HasPrefix(imp, mod+"/")) {
					continue
				}
				if !slices.Contains(rooms, f.dir) {
					t.Errorf("%s imports %s, which lives in %v", f.path, imp, rooms)
				}
			}
		}
	}
}

func TestShapePackagesAndFiles(t *testing.T) {
	t.Parallel()
	comments := map[string]int{}
	for _, f := range sources(t) {
		b, err := os.ReadFile(filepath.Join("../..", f.path))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(b), "\n"); n > 800 {
			t.Errorf("%s has %d lines; a second noun is in it", f.path, n)
		}
		if base := f.dir[strings.LastIndex(f.dir, "/")+1:]; slices.Contains([]string{"pkg", "internal", "util", "utils", "common", "models", "types", "base", "helpers"}, base) {
			t.Errorf("%s: %q names no noun of the trade", f.path, base)
		}
		if f.test {
			continue
		}
		comments[f.dir] += 0
		if f.file.Doc != nil {
			comments[f.dir]++
		}
	}
	for dir, n := range comments {
		if n != 1 {
			t.Errorf("%s has %d package comments, want 1", dir, n)
		}
	}
}

// TestShapeClock keeps time.Now, time.Since and time.Until out of the rooms:
// they take a hotline.Clock.
func TestShapeClock(t *testing.T) {
	t.Parallel()
	for _, f := range sources(t) {
		if f.test || strings.HasPrefix(f.dir, "cmd") || f.dir == "hotline/hotlinetest" || f.dir == "sip/siptest" {
			continue
		}
		ast.Inspect(f.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Until"}, sel.Sel.Name) {
					t.Errorf("%s calls time.%s; take a hotline.Clock", f.path, sel.Sel.Name)
				}
			}
			return true
		})
	}
}

// TestShapeTopLevel keeps the top-level folders to the fixed ones.
func TestShapeTopLevel(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir("../..")
	if err != nil {
		t.Fatal(err)
	}
	fixed := []string{"cmd", "hotline", "sip", "dispatch", "reports", "configs", "bin"}
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") && !slices.Contains(fixed, e.Name()) {
			t.Errorf("top-level folder %s is outside the fixed shape", e.Name())
		}
	}
}
