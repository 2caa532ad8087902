package dind

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/docker/docker/pkg/stdcopy"

	"github.com/nestlab/nestlab/tail"
)

// maxBuildLog bounds what a daemon may tell of one build or pull, in bytes.
const maxBuildLog = 64 << 20

// demux parts the two streams of a command as stdcopy.StdCopy does, but never holds a
// whole frame: a daemon inside of a guest may announce one of 4 GiB.
func demux(stdout, stderr io.Writer, from io.Reader) error {
	for {
		var head [8]byte
		if _, err := io.ReadFull(from, head[:]); err != nil {
			return ended(err)
		}
		size, to := int64(binary.BigEndian.Uint32(head[4:])), stdout
		said := tail.New(4 << 10)
		switch kind := stdcopy.StdType(head[0]); kind {
		case stdcopy.Stdin, stdcopy.Stdout:
		case stdcopy.Stderr:
			to = stderr
		case stdcopy.Systemerr:
			to = said
		default:
			return fmt.Errorf("the daemon's stream has a frame of kind %d", kind)
		}
		if _, err := io.CopyN(to, from, size); err != nil {
			return ended(err)
		}
		if to == said {
			return fmt.Errorf("the daemon says: %s", said)
		}
	}
}

// ended takes a stream that ends, in the middle of a frame too, for no error: how the
// command ended is asked for.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}
