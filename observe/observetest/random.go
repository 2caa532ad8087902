package observetest

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Random returns what to draw from, and how often: as the variable NESTLAB_RANDOM_RULES
// says, else so many times. NESTLAB_RANDOM_SEED has a test draw the same once more.
func Random(t *testing.T, otherwise uint64) (*rand.Rand, uint64) {
	t.Helper()
	seed := setting(t, "NESTLAB_RANDOM_SEED", uint64(time.Now().UnixNano()))
	t.Logf("NESTLAB_RANDOM_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0)), setting(t, "NESTLAB_RANDOM_RULES", otherwise)
}

func setting(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err)
	return n
}
