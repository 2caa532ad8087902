package route

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDecodeRefusesShortMessages(t *testing.T) {
	t.Parallel()
	_, err := decodeRule(make([]byte, 3))
	require.ErrorContains(t, err, "3 bytes")
	require.ErrorContains(t, (&Decision{}).decode(make([]byte, 3)), "3 bytes")
	require.ErrorContains(t, (&Decision{}).decode(make([]byte, 12)), "unknown type 0")
}

// FuzzDecode reads any bytes as a rule and as a route.
func FuzzDecode(f *testing.F) {
	header := []byte{2, 32, 0, 0, 254, 0, 0, 1, 0, 0, 0, 0}
	f.Add(header)
	f.Add(append(header, 8, 0, 15, 0, 100, 0, 0, 0, 6, 0, 23, 0, 1, 2, 0, 0, 12, 0, 8, 0, 8, 0, 2, 0, 1, 2, 3, 4))
	f.Fuzz(func(_ *testing.T, b []byte) {
		if r, err := decodeRule(b); err == nil {
			_ = r.String()
			r.Matches(Packet{})
		}
		_ = (&Decision{}).decode(b) // an error is a right answer
	})
}
