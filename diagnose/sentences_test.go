package diagnose_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// texts are the fields that hold sentences, of nestlab's own or a program's.
var texts = []string{"Text", "Summary", "Message", "Output", "Why", "Note", "Notes", "About", "Title", "Error", "Errors", "Dockerd", "Says"}

// textParameters are names of parameters that stand for them.
var textParameters = []string{"text", "says", "said", "summary", "message", "sentence", "words", "why", "note"}

// readers are the files that turn what programs say into values. All else compares those.
var readers = []string{"../diagnose/output.go", "../diagnose/complaints.go"}

// TestNothingIsDecidedOnSentences looks through the packages that judge: what compares,
// searches or cuts a text, or looks for a phrase, decides on words.
func TestNothingIsDecidedOnSentences(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"../diagnose", "../testbed/accuracy", "../report", "../session"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") || slices.Contains(readers, f) {
				continue
			}
			source, err := os.ReadFile(f)
			require.NoError(t, err)
			require.Empty(t, decisionsOnText(t, f, string(source)), "compare a typed value instead, or read a program's words in %s", readers[0])
		}
	}
}

// TestDecisionsOnSentencesAreSeen has the forms that there were, and others.
func TestDecisionsOnSentencesAreSeen(t *testing.T) {
	t.Parallel()
	for body, seen := range map[string]bool{
		`_ = strings.Contains(e.Text, "DNS")`:                                    true,
		`_ = strings.Contains(d.Summary, hops[f])`:                               true,
		`_ = strings.HasSuffix(line, "there are no results of it")`:              true,
		`_ = a.Text == b.Text`:                                                   true,
		`switch f.Why { case "x": }`:                                             true,
		`m := r.Detail.Message; m = strings.ToLower(m); _ = strings.Index(m, w)`: true,
		`for _, n := range run.Notes { _ = strings.EqualFold(n, w) }`:            true,
		`_ = slices.Contains(run.Notes, w)`:                                      true,
		`_ = pattern.MatchString(e.Text)`:                                        true,
		`_ = place(before.Text) == place(now.Text)`:                              true,
		`_ = strings.HasPrefix(run.Facts[0].KVM.Error, w)`:                       true,
		`_ = r.Detail.Message == ""`:                                             false,
		`_ = strings.Contains(r.Target, "://")`:                                  false,
		`_ = scan.Text() == w`:                                                   false,
		`e := model.Evidence{Text: "x" + f.Text}; _ = e.Loss.Kind == w`:          false,
	} {
		found := decisionsOnText(t, "x.go", "package x\nfunc f() { "+body+" }")
		require.Equal(t, seen, len(found) > 0, body)
	}
}

// decisionsOnText lists where a file compares texts.
func decisionsOnText(t *testing.T, name, source string) []string {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, source, 0)
	require.NoError(t, err)
	var found []string
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		s := sentences{held: map[string]bool{}, calls: map[ast.Expr]bool{}}
		for _, p := range f.Type.Params.List {
			kind, _ := p.Type.(*ast.Ident)
			for _, n := range p.Names {
				s.held[n.Name] = kind != nil && kind.Name == "string" && slices.Contains(textParameters, n.Name)
			}
		}
		ast.Inspect(f.Body, s.gather)
		ast.Inspect(f.Body, func(n ast.Node) bool {
			if n != nil && s.decides(n) {
				found = append(found, fmt.Sprint(files.Position(n.Pos())))
			}
			return true
		})
	}
	return found
}

// sentences knows the variables of a function that hold texts.
type sentences struct {
	held  map[string]bool
	calls map[ast.Expr]bool // methods, such as Text of a scanner
}

func (s sentences) gather(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.CallExpr:
		s.calls[n.Fun] = true
	case *ast.AssignStmt:
		for i, right := range n.Rhs {
			if id, ok := n.Lhs[min(i, len(n.Lhs)-1)].(*ast.Ident); ok && s.is(right) {
				s.held[id.Name] = true
			}
		}
	case *ast.RangeStmt:
		if id, ok := n.Value.(*ast.Ident); ok && s.is(n.X) {
			s.held[id.Name] = true
		}
	}
	return true
}

// is reports whether an expression is a text, or made of one.
func (s sentences) is(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return s.held[e.Name]
	case *ast.SelectorExpr:
		return slices.Contains(texts, e.Sel.Name) && !s.calls[e]
	case *ast.ParenExpr:
		return s.is(e.X)
	case *ast.IndexExpr:
		return s.is(e.X)
	case *ast.BinaryExpr:
		return e.Op == token.ADD && (s.is(e.X) || s.is(e.Y))
	case *ast.CallExpr:
		return slices.ContainsFunc(e.Args, s.is)
	}
	return false
}

func (s sentences) decides(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.BinaryExpr:
		comparing := slices.Contains([]token.Token{token.EQL, token.NEQ, token.LSS, token.GTR}, n.Op)
		return comparing && (s.is(n.X) && !blank(n.Y) || s.is(n.Y) && !blank(n.X))
	case *ast.SwitchStmt:
		return n.Tag != nil && s.is(n.Tag)
	case *ast.CallExpr:
		return looking(n.Fun) && slices.ContainsFunc(n.Args, func(e ast.Expr) bool { return s.is(e) || phrase(e) })
	}
	return false
}

// looking reports whether a function compares, searches or cuts.
func looking(f ast.Expr) bool {
	sel, ok := f.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	for _, verb := range []string{"Contains", "HasPrefix", "HasSuffix", "EqualFold", "Index", "LastIndex", "Cut", "Compare", "Count", "Match", "Find"} {
		if strings.HasPrefix(sel.Sel.Name, verb) {
			return true
		}
	}
	return false
}

// phrase reports whether an expression is more than one word.
func phrase(e ast.Expr) bool {
	lit, ok := e.(*ast.BasicLit)
	return ok && lit.Kind == token.STRING && strings.Contains(strings.Trim(lit.Value, "`\" "), " ")
}

// blank reports whether an expression is the empty text, nil or a number: that there is
// something, or how much of it, is no wording.
func blank(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return e.Kind == token.INT || e.Value == `""`
	case *ast.Ident:
		return e.Name == "nil"
	}
	return false
}
