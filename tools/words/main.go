// Command words finds words that are not the field's in the files that git knows, and says
// what to write instead. Its list is words.txt.
//
//	words [FOLDER]
package main

import (
	"bufio"
	_ "embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

//go:embed words.txt
var list string

// word is one entry of the list.
type word struct {
	old     *regexp.Regexp
	write   string
	example string
}

func main() {
	folder := "."
	if len(os.Args) > 1 {
		folder = os.Args[1]
	}
	found, err := run(folder, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "words:", err)
		os.Exit(2)
	}
	if found > 0 {
		fmt.Fprintf(os.Stderr, "words: %d to replace; the list is tools/words/words.txt\n", found)
		os.Exit(1)
	}
}

// run looks through the files of a folder and counts what it found.
func run(folder string, out io.Writer) (found int, err error) {
	words, err := parse(list)
	if err != nil {
		return 0, err
	}
	files, err := sources(folder)
	if err != nil {
		return 0, err
	}
	for _, name := range files {
		n, err := search(folder, name, words, out)
		if err != nil {
			return found, err
		}
		found += n
	}
	return found, nil
}

// parse reads a list.
func parse(text string) ([]word, error) {
	var words []word
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		columns := strings.Split(line, "\t")
		if len(columns) != 3 {
			return nil, fmt.Errorf("read the list: %q has %d columns, not 3", line, len(columns))
		}
		old, err := regexp.Compile("(?i)" + columns[0])
		if err != nil {
			return nil, fmt.Errorf("read the list: %w", err)
		}
		words = append(words, word{old, columns[1], columns[2]})
	}
	return words, nil
}

// checked are the kinds of files that people read.
var checked = []string{".go", ".md", ".yml", ".yaml", ".sh", ".json", ""}

// generated are files that others write, and recordings, which stay as they were made. The
// sources of the engine are too: a changed comment there has everybody's engine built again.
var generated = regexp.MustCompile(`^(internal/|engine/|dagger\.gen\.go$|tools/words/|LICENSE$)|(^|/)(testdata/|go\.sum$)`)

// sources lists the files to look through.
func sources(folder string) ([]string, error) {
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = folder
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list the files of %s: %w", folder, err)
	}
	var files []string
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if slices.Contains(checked, filepath.Ext(name)) && !generated.MatchString(name) {
			files = append(files, name)
		}
	}
	return files, nil
}

// search writes a line for each word of one file; a deleted file has none.
func search(folder, name string, words []word, out io.Writer) (found int, err error) {
	file, err := os.Open(filepath.Join(folder, name))
	if os.IsNotExist(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("look for words: %w", err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20)
	for number := 1; lines.Scan(); number++ {
		for _, w := range words {
			if old := w.old.FindString(lines.Text()); old != "" {
				found++
				fmt.Fprintf(out, "%s:%d: %q: write %s\n", name, number, strings.TrimSpace(old), w.write)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return found, fmt.Errorf("read %s: %w", name, err)
	}
	return found, nil
}
