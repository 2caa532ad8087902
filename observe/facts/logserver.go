package facts

import (
	"context"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/probe"
)

// LogServer tries, once a container has failed, the server that dockerd has containers log
// to; nil where there is none, or no dockerd.
func LogServer(ctx context.Context) (*model.LogServer, error) {
	d := &model.Dockerd{}
	p := findDockerd(ctx, socketPath(""))
	if p.pid == 0 {
		return nil, nil
	}
	if err := readAllSettings(d, p); err != nil {
		return nil, err
	}
	driver, network, at := logAddress(d)
	if at == "" {
		return nil, nil
	}
	return tryLogServer(ctx, driver, network, at), nil
}

// tryLogServer connects to a server of logs, and sends nothing.
func tryLogServer(ctx context.Context, driver, network, at string) *model.LogServer {
	ctx, cancel := context.WithTimeout(ctx, peerDeadline)
	defer cancel()
	server := &model.LogServer{Driver: driver, Address: model.Clip(at, maxSetting)}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, at)
	if err != nil {
		server.Reason = probe.Classify(err)
		return server
	}
	_ = conn.Close() // nothing was sent
	return server
}

// logAddress is where dockerd connects to before a container starts, as its log drivers read
// their options; empty where it does not wait for that, or nothing answers who connects.
func logAddress(d *model.Dockerd) (driver, network, at string) {
	s, _ := d.Setting("log-driver")
	// The drivers' own defaults: syslog's is the machine's own, without an address.
	address, port := "", "514"
	switch s.Value {
	case "fluentd":
		address, port = "tcp://127.0.0.1", "24224"
	case "syslog":
	default:
		return "", "", ""
	}
	for _, o := range d.Settings {
		name, value, _ := strings.Cut(o.Value, "=")
		async, err := strconv.ParseBool(value)
		switch {
		case o.Key != "log-opts" || value == "":
		case name == s.Value+"-address":
			address = value
		case (name == "fluentd-async" || name == "fluentd-async-connect") && err == nil && async && s.Value == "fluentd":
			return "", "", ""
		}
	}
	if s.Value == "fluentd" && !strings.Contains(address, "://") {
		address = "tcp://" + address
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", "", ""
	}
	switch u.Scheme {
	case "unix":
		return s.Value, u.Scheme, u.Path
	case "tcp":
		if u.Port() != "" {
			port = u.Port()
		}
		return s.Value, u.Scheme, net.JoinHostPort(u.Hostname(), port)
	}
	return "", "", ""
}
