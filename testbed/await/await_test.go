package await_test

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/testbed/await"
)

const late = "NESTLAB_TEST_LATE"

func TestWhatComes(t *testing.T) {
	looks := 0
	await.True(t, func() bool { looks++; return looks == 5 })
	require.Equal(t, 5, looks)
	c := make(chan int, 1)
	c <- 7
	require.Equal(t, 7, await.Receive(t, c))
	require.NoError(t, await.Context(t).Err())
}

// What never comes ends with the tests' time, and the clean-up has its own.
func TestWhatNeverComes(t *testing.T) {
	if os.Getenv(late) != "" {
		t.Cleanup(func() { t.Log("cleaned up") })
		t.Run("condition", func(t *testing.T) { await.True(t, func() bool { return false }, "of %s", t.Name()) })
		t.Run("channel", func(t *testing.T) { await.Receive(t, make(chan int)) })
		<-await.Context(t).Done()
		require.NoError(t, t.Context().Err(), "it ends before the test")
		return
	}
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, "-test.run", "^"+t.Name()+"$", "-test.timeout", (4 * time.Second).String(), "-test.v")
	cmd.Env = append(os.Environ(), late+"=1")
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	for _, says := range []string{"of TestWhatNeverComes/condition", "--- FAIL: TestWhatNeverComes/channel", "cleaned up", "the tests' time is over"} {
		require.Contains(t, string(out), says)
	}
	require.NotContains(t, string(out), "panic")
}
