package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// suite is the Debian release of the roots that are built.
const suite = "bookworm"

// source is one archive that apt is configured to use.
type source struct {
	options    []string // "signed-by=PATH" and "trusted=yes", nothing else
	uri, suite string
	components []string
}

// line is the source in apt's one-line style.
func (s source) line() string {
	words := []string{"deb"}
	if len(s.options) > 0 {
		words = append(words, "["+strings.Join(s.options, " ")+"]")
	}
	return strings.Join(append(append(words, s.uri, s.suite), s.components...), " ")
}

// debianSources are the lines that give our suite from the archives that this
// machine's apt uses; nothing is asked of any other host.
func debianSources(etc string) ([]string, error) {
	release, err := osRelease(filepath.Join(etc, "os-release"))
	if err != nil {
		return nil, err
	}
	codename := release["VERSION_CODENAME"]
	if release["ID"] != "debian" || codename == "" {
		return nil, fmt.Errorf("this machine is %q, and the engine's root is built from a Debian machine's own package sources: %w",
			release["PRETTY_NAME"], errNextStep)
	}
	var all []source
	for _, glob := range []string{"sources.list", "sources.list.d/*.list", "sources.list.d/*.sources"} {
		files, err := filepath.Glob(filepath.Join(etc, "apt", glob))
		if err != nil {
			return nil, fmt.Errorf("look for apt's sources: %w", err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				return nil, fmt.Errorf("read apt's sources: %w", err)
			}
			if strings.HasSuffix(f, ".sources") {
				all = append(all, parseDeb822(string(b))...)
			} else {
				all = append(all, parseOneLine(string(b))...)
			}
		}
	}
	return suiteLines(all, codename)
}

// suiteLines turns the sources of the machine's own release into ours.
func suiteLines(all []source, codename string) ([]string, error) {
	var lines []string
	for _, s := range all {
		pocket, ok := strings.CutPrefix(s.suite, codename)
		if !ok || !slices.Contains([]string{"", "-updates", "-security"}, pocket) || !slices.Contains(s.components, "main") {
			continue
		}
		s.suite, s.components = suite+pocket, []string{"main"}
		if l := s.line(); !slices.Contains(lines, l) {
			lines = append(lines, l)
		}
	}
	if len(lines) == 0 {
		return nil, errors.New("apt's sources name no Debian archive for the suite " + codename + ": add one to /etc/apt/sources.list.d")
	}
	return lines, nil
}

// parseOneLine reads sources.list(5)'s one-line style; what it cannot read it leaves out.
func parseOneLine(text string) []source {
	var out []source
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "deb")
		if !ok || rest == "" || !strings.ContainsAny(rest[:1], " \t[") {
			continue
		}
		var s source
		rest = strings.TrimSpace(rest)
		if after, ok := strings.CutPrefix(rest, "["); ok {
			inside, after, ok := strings.Cut(after, "]")
			if !ok {
				continue
			}
			s.options = keptOptions(strings.Fields(inside))
			rest = after
		}
		words := strings.Fields(rest)
		if len(words) < 3 {
			continue
		}
		s.uri, s.suite, s.components = words[0], words[1], words[2:]
		out = append(out, s)
	}
	return out
}

// parseDeb822 reads sources.list(5)'s stanza style; what it cannot read it leaves out.
func parseDeb822(text string) []source {
	var out []source
	fields, key := map[string]string{}, ""
	flush := func() {
		out = append(out, stanza(fields)...)
		fields, key = map[string]string{}, ""
	}
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, len(text)+1)
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.TrimSpace(line) == "":
			flush()
		case strings.HasPrefix(line, "#"):
		case strings.ContainsAny(line[:1], " \t"):
			fields[key] += "\n" + strings.TrimSpace(line)
		default:
			name, value, ok := strings.Cut(line, ":")
			if ok {
				key = strings.ToLower(strings.TrimSpace(name))
				fields[key] = strings.TrimSpace(value)
			}
		}
	}
	flush()
	return out
}

// stanza is the sources that one stanza stands for.
func stanza(f map[string]string) []source {
	if !slices.Contains(strings.Fields(f["types"]), "deb") || strings.EqualFold(f["enabled"], "no") {
		return nil
	}
	var options []string
	if v, ok := f["signed-by"]; ok {
		options = append(options, "signed-by="+v)
	}
	if v, ok := f["trusted"]; ok {
		options = append(options, "trusted="+v)
	}
	options = keptOptions(options)
	var out []source
	for _, uri := range strings.Fields(f["uris"]) {
		for _, s := range strings.Fields(f["suites"]) {
			if c := strings.Fields(f["components"]); len(c) > 0 {
				out = append(out, source{options, uri, s, c})
			}
		}
	}
	return out
}

// keptOptions keeps the options that say what to trust. A key that is written
// into the file itself has no one-line form: then the archive's own keyring counts.
func keptOptions(options []string) []string {
	var kept []string
	for _, o := range options {
		path, signed := strings.CutPrefix(o, "signed-by=")
		if o == "trusted=yes" || signed && filepath.IsAbs(path) && !strings.ContainsAny(path, " \t\n]") {
			kept = append(kept, o)
		}
	}
	return kept
}

// osRelease reads os-release(5).
func osRelease(path string) (map[string]string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("find out which system this is: %w", err)
	}
	out := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			out[k] = strings.Trim(v, `"'`)
		}
	}
	return out, nil
}
