package follow

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// queueReaders reads who reads which queue of netfilter (NFQUEUE), by its port of netlink:
// that is its process, unless it has several sockets.
func queueReaders() (map[uint16]uint32, error) {
	text, err := os.ReadFile("/proc/thread-self/net/netfilter/nfnetlink_queue")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // nobody ever read one
	}
	if err != nil {
		return nil, fmt.Errorf("read who reads the queues of netfilter: %w", err)
	}
	readers := map[uint16]uint32{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		var queue uint16
		var port uint32
		if _, err := fmt.Sscan(lines.Text(), &queue, &port); err != nil {
			return readers, fmt.Errorf("read who reads the queues of netfilter: %q: %w", lines.Text(), err)
		}
		readers[queue] = port
	}
	return readers, nil
}
