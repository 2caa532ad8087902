// Package selection picks names by patterns, the same way for everything that has
// names: environments, scenarios. It is pure.
package selection

import (
	"fmt"
	"path"
	"strings"
)

// Selected reports whether a name fits the patterns: any of the plain ones (all
// names where there is none) and none of those that begin with !.
func Selected(name string, patterns []string) (bool, error) {
	wanted, positive := false, false
	for _, p := range patterns {
		pattern, exclude := strings.CutPrefix(p, "!")
		match, err := fits(pattern, name)
		if err != nil {
			return false, err
		}
		if !exclude {
			positive = true
			wanted = wanted || match
		} else if match {
			return false, nil
		}
	}
	return wanted || !positive, nil
}

// Misses is the first of the patterns that fits none of the names: a typing error
// must not end in a run that is smaller than was asked for.
func Misses(names, patterns []string) (pattern string, missed bool, err error) {
	for _, p := range patterns {
		any := false
		for _, name := range names {
			match, err := fits(strings.TrimPrefix(p, "!"), name)
			if err != nil {
				return "", false, err
			}
			any = any || match
		}
		if !any {
			return p, true, nil
		}
	}
	return "", false, nil
}

// fits matches the whole name, or its family: what is before the first slash.
func fits(pattern, name string) (bool, error) {
	match, err := path.Match(pattern, name)
	if err != nil {
		return false, fmt.Errorf("invalid pattern %q: %w", pattern, err)
	}
	if family, _, more := strings.Cut(name, "/"); more && !match {
		return path.Match(pattern, family)
	}
	return match, nil
}
