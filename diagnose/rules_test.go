package diagnose_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// ties are seeds of random runs in which a cause explains as much as one that it depends on.
var ties = []uint64{829, 1002, 1288, 2398}

// corpus is every run that this package knows: recorded, made and random ones.
func corpus(t *testing.T) []model.Run {
	t.Helper()
	var runs []model.Run
	for _, pattern := range []string{"*.jsonl", "*/*.jsonl"} {
		files, err := filepath.Glob(filepath.Join("testdata", pattern))
		require.NoError(t, err)
		for _, f := range files {
			runs = append(runs, recorded(t, strings.TrimPrefix(f, "testdata/")))
		}
	}
	for _, f := range fixtures() {
		runs = append(runs, f())
	}
	for _, s := range symptoms {
		runs = append(runs, s.run())
	}
	for seed := range uint64(150) {
		runs = append(runs, modeltest.Random(seed))
	}
	for _, seed := range ties {
		runs = append(runs, modeltest.Random(seed))
	}
	return runs
}

func TestRulesAreWhole(t *testing.T) {
	t.Parallel()
	var causes, titles []string
	for _, r := range diagnose.Rules() {
		require.NotEmpty(t, r.Title, r.Cause)
		require.NotEmpty(t, r.About, r.Cause)
		require.NotContains(t, causes, r.Cause)
		require.NotContains(t, titles, r.Title)
		require.NotContains(t, r.Title, r.Cause, "a title is for people")
		causes, titles = append(causes, r.Cause), append(titles, r.Title)
		for _, name := range r.Remedies {
			_, err := catalogue.Find(name)
			require.NoError(t, err, r.Cause)
		}
	}
	for cause, excluded := range diagnose.Exclusions() {
		require.Subset(t, causes, excluded, cause)
		require.NotContains(t, excluded, cause)
	}
}

// TestPrecedenceIsDeclared: where two causes explain as much, a layer or a dependency
// says which is taken, and the table's order is the declared one.
func TestPrecedenceIsDeclared(t *testing.T) {
	t.Parallel()
	rules := diagnose.Rules()
	for i, a := range rules {
		for _, b := range rules[i+1:] {
			require.False(t, diagnose.Precedes(b.Cause, a.Cause), "%s has to stand before %s", b.Cause, a.Cause)
		}
	}
	decided := map[[2]string]bool{}
	for _, run := range corpus(t) {
		standing := diagnose.Hypotheses(run)
		standing = slices.DeleteFunc(standing, func(h diagnose.Hypothesis) bool { return !h.Stands() })
		for i, a := range standing {
			for _, b := range standing[i+1:] {
				if len(a.Explains) != len(b.Explains) || a.Finding.Cause == b.Finding.Cause {
					continue
				}
				require.True(t, diagnose.Precedes(a.Finding.Cause, b.Finding.Cause), "%s and %s explain as much, and neither is declared to be first",
					a.Finding.Cause, b.Finding.Cause)
				decided[[2]string{b.Finding.Cause, a.Finding.Cause}] = true
			}
		}
	}
	for cause, depends := range diagnose.Dependencies() {
		for _, on := range depends {
			require.True(t, decided[[2]string{cause, on}], "that %s depends on %s decides nothing", cause, on)
		}
	}
}

// TestEntriesHaveAnEffect: every cause is named in some run, every exclusion shows in one,
// and so does what is said of a healthy run.
func TestEntriesHaveAnEffect(t *testing.T) {
	t.Parallel()
	named, excluded := map[string]bool{}, map[[2]string]bool{}
	runs := append(corpus(t), modeltest.Proven())
	for _, run := range runs {
		d := diagnose.Diagnose(run)
		for _, f := range append([]model.Finding{d.Finding}, d.Further...) {
			named[f.Cause] = true
			for _, x := range diagnose.Excluded(run, f) {
				excluded[[2]string{f.Cause, x}] = true
			}
		}
	}
	for _, r := range diagnose.Rules() {
		require.True(t, named[r.Cause], "no run has %s", r.Cause)
		for _, x := range diagnose.Exclusions()[r.Cause] {
			require.True(t, excluded[[2]string{r.Cause, x}], "that %s excludes %s shows in no run", r.Cause, x)
		}
	}
	require.Subset(t, causes(diagnose.Diagnose(full()).RuledOut), []string{diagnose.CauseDockerForwardDrop, diagnose.CauseIPForwardOff})
}

// TestFindingsHaveTitles: a headline is the rule's.
func TestFindingsHaveTitles(t *testing.T) {
	t.Parallel()
	for _, r := range diagnose.Rules() {
		// What has no name is told in the daemon's own words after it.
		require.True(t, strings.HasPrefix(diagnose.Diagnose(fixtures()[r.Cause]()).Title, r.Title), r.Cause)
	}
}
