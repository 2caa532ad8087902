package facts

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
)

// TestLogAddress: where dockerd's own drivers connect to.
func TestLogAddress(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ config, network, at string }{
		{`{"log-driver": "fluentd"}`, "tcp", "127.0.0.1:24224"},
		{`{"log-driver": "fluentd", "log-opts": {"fluentd-address": "loghost"}}`, "tcp", "loghost:24224"},
		{`{"log-driver": "fluentd", "log-opts": {"fluentd-address": "loghost:9"}}`, "tcp", "loghost:9"},
		{`{"log-driver": "fluentd", "log-opts": {"fluentd-address": "tcp://[::1]"}}`, "tcp", "[::1]:24224"},
		{`{"log-driver": "fluentd", "log-opts": {"fluentd-address": "[::1]"}}`, "tcp", "[::1]:24224"},
		{`{"log-driver": "fluentd", "log-opts": {"fluentd-address": "unix:///run/f.sock"}}`, "unix", "/run/f.sock"},
		{`{"log-driver": "syslog", "log-opts": {"syslog-address": "tcp://loghost"}}`, "tcp", "loghost:514"},
		{`{"log-driver": "syslog", "log-opts": {"syslog-address": "tcp://[::1]"}}`, "tcp", "[::1]:514"},
		{`{"log-driver": "syslog", "log-opts": {"syslog-address": "tcp://[::1]:6"}}`, "tcp", "[::1]:6"},
		{`{"log-driver": "syslog", "log-opts": {"syslog-address": "unix:///dev/log", "fluentd-async": "true"}}`, "unix", "/dev/log"},
		{`{"log-driver": "fluentd", "log-opts": {"fluentd-async": "false"}}`, "tcp", "127.0.0.1:24224"},
		// What is not waited for, nobody answers, or dockerd refuses itself.
		{config: `{"log-driver": "fluentd", "log-opts": {"fluentd-async": "true"}}`},
		{config: `{"log-driver": "fluentd", "log-opts": {"fluentd-async": "1"}}`},
		{config: `{"log-driver": "fluentd", "log-opts": {"fluentd-async-connect": "true"}}`},
		{config: `{"log-driver": "syslog", "log-opts": {"syslog-address": "udp://loghost:1"}}`},
		{config: `{"log-driver": "syslog", "log-opts": {"syslog-address": "loghost:1"}}`},
		{config: `{"log-driver": "syslog", "log-opts": {"syslog-address": "tcp://[::1"}}`},
		{config: `{"log-driver": "syslog"}`},
		{config: `{"log-driver": "json-file", "log-opts": {"fluentd-address": "loghost"}}`},
		{config: `{}`},
	} {
		settings, err := parseSettings([]byte(c.config), "f")
		require.NoError(t, err)
		_, network, at := logAddress(&model.Dockerd{Settings: settings})
		require.Equal(t, c.network+" "+c.at, network+" "+at, c.config)
	}
}

func TestLogServer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	at := l.Addr().String()
	require.Equal(t, &model.LogServer{Driver: "fluentd", Address: at}, tryLogServer(t.Context(), "fluentd", "tcp", at))
	require.NoError(t, l.Close())
	require.Equal(t, &model.LogServer{Driver: "fluentd", Address: at, Reason: model.Refused}, tryLogServer(t.Context(), "fluentd", "tcp", at))
}

func FuzzLogAddress(f *testing.F) {
	f.Add("fluentd", "tcp://[::1]:x")
	f.Add("syslog", "tcp://user:secret@:/")
	f.Fuzz(func(t *testing.T, driver, address string) {
		got, network, at := logAddress(&model.Dockerd{Settings: []model.DockerSetting{
			{Key: "log-driver", Value: driver}, {Key: "log-opts", Value: driver + "-address=" + address}}})
		if at == "" {
			return
		}
		require.Equal(t, driver, got)
		if network == "tcp" {
			_, port, err := net.SplitHostPort(at)
			require.NoError(t, err)
			require.NotEmpty(t, port)
		}
	})
}
