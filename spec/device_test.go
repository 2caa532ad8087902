package spec

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseDevices(t *testing.T) {
	t.Parallel()
	got, err := ParseDevices([]string{"eth0,ipv4.address=10.0.0.2,name=eth0", "kvm,type=unix-char,path=/dev/kvm", "eth0,hwaddr=a=b"})
	require.NoError(t, err)
	require.Equal(t, map[string]map[string]string{
		"eth0": {"ipv4.address": "10.0.0.2", "name": "eth0", "hwaddr": "a=b"}, "kvm": {"type": "unix-char", "path": "/dev/kvm"},
	}, got)
	split, err := ParseDevices([]string{"eth0", "ipv4.address=10.0.0.2", "name=eth0", "kvm", "type=unix-char", "path=/dev/kvm", "eth0", "hwaddr=a=b"})
	require.NoError(t, err)
	require.Equal(t, got, split, "as the command line of dagger gives them")
	for text, says := range map[string]string{
		"": "are not NAME,KEY=VALUE", "eth0": `"eth0" has no KEY=VALUE`, "eth0,": "are not NAME", "eth0,=x": "are not NAME",
		",a=b": "are not NAME", "a=b,c=d": "are not NAME", "eth0,mtu=1,mtu=2": `two values of mtu: "1" and "2"`,
		"eth0,kvm,type=unix-char": `"eth0" has no KEY=VALUE`, "eth0,ipv4.routes=10.0.0.0/24,10.1.0.0/24": `"10.1.0.0/24" in the devices is neither`,
	} {
		_, err := ParseDevices([]string{text})
		require.ErrorContains(t, err, says, "%q", text)
	}
	none, err := ParseDevices(nil)
	require.NoError(t, err)
	require.Empty(t, none)
}

func FuzzParseDevices(f *testing.F) {
	f.Add("eth0,ipv4.address=10.0.0.2\nkvm,type=unix-char")
	f.Add(",=\n=,")
	f.Fuzz(func(t *testing.T, text string) {
		given := strings.Split(text, "\n")
		all, err := ParseDevices(given)
		if err != nil {
			return
		}
		words := strings.Split(strings.Join(given, ","), ",")
		for name, keys := range all {
			require.NotEmpty(t, keys)
			require.Contains(t, words, name)
			for key, value := range keys {
				require.Contains(t, words, key+"="+value)
			}
		}
		again, err := ParseDevices(words)
		require.NoError(t, err)
		require.Equal(t, all, again)
	})
}
