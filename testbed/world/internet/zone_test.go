package internet

import (
	"log/slog"
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// Whatever a packet asks, the answer can be sent and belongs to it.
func FuzzZoneAnswer(f *testing.F) {
	for _, q := range []dns.Question{
		{Name: "archive.lab.test.", Qtype: dns.TypeA, Qclass: dns.ClassINET},
		{Name: "lab.test.", Qtype: dns.TypeANY, Qclass: dns.ClassINET},
		{Name: ".", Qtype: dns.TypeNS, Qclass: dns.ClassANY},
	} {
		packet, err := (&dns.Msg{MsgHdr: dns.MsgHdr{Id: 7}, Question: []dns.Question{q}}).Pack()
		require.NoError(f, err)
		f.Add(packet)
	}
	z := newZone(Sites(true), slog.New(slog.DiscardHandler), NewConduct())
	f.Fuzz(func(t *testing.T, packet []byte) {
		query := new(dns.Msg)
		if query.Unpack(packet) != nil {
			return
		}
		reply := z.answer(query)
		require.Equal(t, query.Id, reply.Id)
		require.True(t, reply.Response)
		require.LessOrEqual(t, len(reply.Answer), 1)
		_, err := reply.Pack()
		require.NoError(t, err)
	})
}
