package probe

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
)

// Whose time was over is told by what the dialer waited for, not by who noticed first.
func TestTimeIsOverOfWhatIsAwaited(t *testing.T) {
	t.Parallel()
	d := &dialer{}
	require.Equal(t, model.ReadTimeout, d.timedOut(model.ReadTimeout), "connected, or not dialled by name")
	d.await(model.DNSTimeout)
	require.Equal(t, model.DNSTimeout, d.timedOut(model.ReadTimeout))
	require.Equal(t, model.Refused, d.timedOut(model.Refused), "an answer is none of time")
	d.await(model.ConnectTimeout)
	require.Equal(t, model.ConnectTimeout, d.timedOut(model.ReadTimeout))
	d.await("")
	require.Equal(t, model.ReadTimeout, d.timedOut(model.ReadTimeout))
}
