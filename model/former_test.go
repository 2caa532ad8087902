package model_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
)

// What earlier versions wrote has its sentences under another name.
func TestFormerTextsAreRead(t *testing.T) {
	t.Parallel()
	var e model.Evidence
	require.NoError(t, json.Unmarshal([]byte(`{"refs":["facts/runner/docker"],"says":"once"}`), &e))
	require.Equal(t, model.Evidence{Refs: []string{"facts/runner/docker"}, Text: "once"}, e)
	var p model.Proof
	require.NoError(t, json.Unmarshal([]byte(`{"holds":true,"says":"twice","rounds":[]}`), &p))
	require.Equal(t, model.Proof{Holds: true, Text: "twice", Rounds: []model.Round{}}, p)
	e = model.Evidence{Refs: []string{}, Text: "now", Loss: &model.Loss{Point: model.PointReturn, Fate: model.Vanished, Kind: model.TCPSYN}}
	text, err := json.Marshal(e)
	require.NoError(t, err)
	var again model.Evidence
	require.NoError(t, json.Unmarshal(text, &again))
	require.Equal(t, e, again)
	require.Error(t, json.Unmarshal([]byte(`{"refs":1}`), &again))
}

func TestLossSame(t *testing.T) {
	t.Parallel()
	rule := model.Drop{Backend: "nftables", Family: "inet", Table: "t", Chain: "c", Rule: "drop", Packets: 1}
	more, other := rule, rule
	more.Packets, other.Rule = 9, "reject"
	docker := model.Drop{Backend: "iptables-nft", Chain: "FORWARD", Docker: true, Packets: 3}
	legacy := model.Drop{Backend: "nftables", Chain: "FORWARD", Docker: true, Packets: 4}
	loss := func(p model.Point, k model.PacketKind, drops ...model.Drop) model.Loss {
		return model.Loss{Point: p, Fate: model.Dropped, Kind: k, Bridge: "br1", Drops: drops}
	}
	at := loss(model.PointForward, model.AnyPacket, rule)
	require.True(t, at.Same(loss(model.PointForward, model.AnyPacket, more)), "the number of packets does not count")
	require.True(t, loss(model.PointForward, model.AnyPacket, docker).Same(loss(model.PointForward, model.AnyPacket, legacy)),
		"Docker's chain may be seen through two tools")
	elsewhere := at
	elsewhere.Bridge = "br2"
	for name, l := range map[string]model.Loss{
		"rule": loss(model.PointForward, model.AnyPacket, other), "no drop": loss(model.PointForward, model.AnyPacket),
		"one more": loss(model.PointForward, model.AnyPacket, rule, docker), "point": loss(model.PointUplink, model.AnyPacket, rule),
		"kind": loss(model.PointForward, model.TCPSYN, rule), "bridge": elsewhere,
	} {
		require.False(t, at.Same(l), name)
	}
}
