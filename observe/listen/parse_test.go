package listen

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/observe"
)

const packetTable = `sk               RefCnt Type Proto  Iface R Rmem   User   Inode
0000000000000000 3      3    0003   2     1 0      0      4711
0000000000000000 3      2    0800   0     1 0      65534  4712
`

const rawTable = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
   17: 00000000:0011 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4713 2 0000000000000000 0
`

func TestParseList(t *testing.T) {
	t.Parallel()
	got, err := parseList(strings.NewReader(packetTable), map[uint32]string{2: "br0"}, parsePacket)
	require.NoError(t, err)
	require.Equal(t, []Packet{{EtherType: 3, Device: "br0", Inode: 4711}, {EtherType: 0x800, UID: 65534, Inode: 4712}}, got)
	got, err = parseList(strings.NewReader(packetTable), nil, parsePacket)
	require.NoError(t, err)
	require.Equal(t, "if2", got[0].Device, "a device that is gone")
	got, err = parseList(strings.NewReader(rawTable), nil, parseRaw)
	require.NoError(t, err)
	require.Equal(t, []Packet{{Protocol: observe.UDP, Inode: 4713}}, got)
	_, err = parseList(strings.NewReader("1 2 3\n"), nil, parsePacket)
	require.ErrorIs(t, err, errFields)
	_, err = parseList(strings.NewReader(strings.Replace(rawTable, "4713", "x", 1)), nil, parseRaw)
	require.ErrorContains(t, err, "invalid line")
}

func FuzzParseList(f *testing.F) {
	f.Add(packetTable)
	f.Add(rawTable)
	f.Fuzz(func(t *testing.T, table string) {
		for _, parse := range []func([]string, map[uint32]string) (Packet, error){parsePacket, parseRaw} {
			if got, _ := parseList(strings.NewReader(table), nil, parse); len(got) > maxSockets {
				t.Fatalf("%d sockets", len(got))
			}
		}
	})
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	_, err := parse(make([]byte, 71), observe.TCP, nil)
	require.ErrorContains(t, err, "71 bytes instead of 72")
	_, err = parse(make([]byte, 72), observe.TCP, nil)
	require.ErrorContains(t, err, "unknown family 0")
}

func FuzzParse(f *testing.F) {
	four := append([]byte{2, 10, 0, 0, 9, 71}, make([]byte, 66)...)
	f.Add(four)
	f.Add(append(append([]byte{10}, four[1:]...), 5, 0, 11, 0, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := parse(b, observe.TCP, nil); err == nil && !s.Address.Addr().IsValid() {
			t.Fatalf("%x is read as %+v", b, s)
		}
	})
}

func TestSocketOf(t *testing.T) {
	t.Parallel()
	inode, ok := socketOf("socket:[4711]")
	require.True(t, ok)
	require.EqualValues(t, 4711, inode)
	for _, other := range []string{"pipe:[1]", "/dev/null", "socket:[]", "socket:[99999999999]"} {
		_, ok = socketOf(other)
		require.False(t, ok, other)
	}
}
