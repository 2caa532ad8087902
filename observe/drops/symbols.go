package drops

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// symbol is a function of the kernel or of a module.
type symbol struct {
	address uint64
	name    string
	module  string // empty for the kernel itself
}

var errHidden = errors.New("/proc/kallsyms shows no addresses (kernel.kptr_restrict, or no CAP_SYSLOG)")

// cache holds what was found: the list is 100,000 lines long, and the same few
// functions drop everything.
var cache = struct {
	sync.Mutex
	symbols map[uint64]symbol
}{symbols: map[uint64]symbol{}}

// functions returns the kernel's functions that addresses are in.
func functions(addresses []uint64) (map[uint64]symbol, error) {
	cache.Lock()
	defer cache.Unlock()
	unknown := slices.DeleteFunc(slices.Clone(addresses), func(a uint64) bool {
		_, ok := cache.symbols[a]
		return ok
	})
	if len(unknown) > 0 {
		f, err := os.Open("/proc/kallsyms")
		if err != nil {
			return nil, fmt.Errorf("read the kernel's symbols: %w", err)
		}
		found, err := lookUp(f, unknown)
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("read the kernel's symbols: %w", err)
		}
		for _, a := range unknown {
			cache.symbols[a] = found[a]
		}
	}
	found := make(map[uint64]symbol, len(addresses))
	for _, a := range addresses {
		found[a] = cache.symbols[a]
	}
	return found, nil
}

// lookUp reads a list in the form of /proc/kallsyms once. Modules follow the
// kernel in it, so that it is not sorted.
func lookUp(r io.Reader, addresses []uint64) (map[uint64]symbol, error) {
	wanted := slices.Compact(slices.Sorted(slices.Values(addresses)))
	best := make([]symbol, len(wanted))
	scanner, shown := bufio.NewScanner(r), false
	for scanner.Scan() {
		line := scanner.Text()
		hex, rest, _ := strings.Cut(line, " ")
		kind, rest, ok := strings.Cut(rest, " ")
		address, err := strconv.ParseUint(hex, 16, 64)
		if err != nil || !ok {
			return nil, fmt.Errorf("invalid line %q", line)
		}
		shown = shown || address != 0
		if address == 0 || !strings.Contains("tTwW", kind) {
			continue
		}
		// The first wanted address that is not before the symbol.
		if i, _ := slices.BinarySearch(wanted, address); i < len(wanted) && address > best[i].address {
			name, module, _ := strings.Cut(rest, "\t")
			name, _, _ = strings.Cut(name, ".") // the compiler's copies: .isra.0, .part.1
			best[i] = symbol{address, name, strings.Trim(module, "[]")}
		}
	}
	if err := scanner.Err(); err != nil {
		return nil, err
	}
	if !shown {
		return nil, errHidden
	}
	found := make(map[uint64]symbol, len(wanted))
	for i, address := range wanted {
		if i > 0 && best[i-1].address > best[i].address {
			best[i] = best[i-1]
		}
		if best[i].address != 0 {
			found[address] = best[i]
		}
	}
	return found, nil
}
