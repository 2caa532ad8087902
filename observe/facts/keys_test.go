package facts

import (
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestKeysAreCounted adds a key as a user whom nobody else is.
func TestKeysAreCounted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("another user has to be taken")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // the thread ends with this goroutine, and the user with it
		const nobodyElse = 61234
		_, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, nobodyElse, nobodyElse, nobodyElse)
		if errno != 0 {
			t.Errorf("become another user: %v", errno)
			return
		}
		before, err := keyLimits()
		_, added := unix.AddKey("user", "nestlab-test", []byte("x"), unix.KEY_SPEC_THREAD_KEYRING)
		after, afterErr := keyLimits()
		if err != nil || added != nil || afterErr != nil {
			t.Errorf("count keys: %v, %v, %v", err, added, afterErr)
			return
		}
		if len(after) != 2 || after[0].Name != "kernel.keys.maxkeys" || after[0].Max == 0 {
			t.Errorf("no limit of keys: %v", after)
			return
		}
		used := uint64(0)
		if len(before) > 0 {
			used = *before[0].Used
		}
		if *after[0].Used <= used {
			t.Errorf("%d keys before, %d after one was added", used, *after[0].Used)
		}
	}()
	<-done
	root, err := keyLimits()
	require.NoError(t, err)
	require.NotEmpty(t, root)
	require.Equal(t, "kernel.keys.root_maxkeys", root[0].Name)
}
