package remedy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// The servers that remedies run.
const (
	ServeDNS   = "dns"
	ServeProxy = "proxy"
)

// serving is what a server says once it listens.
const serving = "serving"

// Server is a server that a remedy runs in a process of its own.
type Server struct {
	// Kind is ServeDNS or ServeProxy.
	Kind string
	// Listen is the ADDRESS:PORT to listen on.
	Listen string
	// Upstream is the DNS server to ask; the first of /etc/resolv.conf if empty.
	Upstream string
	// Gate, where it is not nil, has to say a line before the server begins: one
	// whose journal was not written ends instead.
	Gate io.Reader
	// Told gets one line, "serving" or why not, and is closed then.
	Told io.WriteCloser
}

// Run serves until ctx is done.
func (s Server) Run(ctx context.Context) error {
	if s.Gate != nil {
		if _, err := bufio.NewReader(s.Gate).ReadString('\n'); err != nil {
			return fmt.Errorf("wait to be told to begin: %w", err)
		}
	}
	run, err := s.listen(ctx)
	said := serving
	if err != nil {
		said = err.Error()
	}
	_, told := fmt.Fprintln(s.Told, said)
	if err := errors.Join(err, told, s.Told.Close()); err != nil {
		return err
	}
	return run()
}

func (s Server) listen(ctx context.Context) (run func() error, err error) {
	switch s.Kind {
	case ServeDNS:
		return s.listenDNS(ctx)
	case ServeProxy:
		return s.listenProxy(ctx)
	}
	return nil, fmt.Errorf("unknown server %q: use %s or %s", s.Kind, ServeDNS, ServeProxy)
}

// queryLimit bounds one question to the upstream: less than the five seconds
// after which resolvers ask again.
const queryLimit = 4 * time.Second

func (s Server) listenDNS(ctx context.Context) (func() error, error) {
	upstream, err := upstreamDNS(s.Upstream)
	if err != nil {
		return nil, err
	}
	packets, err := net.ListenPacket("udp", s.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for DNS: %w", err)
	}
	streams, err := net.Listen("tcp", s.Listen)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen for DNS: %w", err), packets.Close())
	}
	servers := []*dns.Server{
		{PacketConn: packets, Handler: forwarder{ctx, upstream, "udp"}},
		{Listener: streams, Handler: forwarder{ctx, upstream, "tcp"}},
	}
	return func() error {
		ended := make(chan error, len(servers))
		for _, srv := range servers {
			go func() { ended <- srv.ActivateAndServe() }()
		}
		select {
		case err := <-ended:
			return err
		case <-ctx.Done():
			return errors.Join(packets.Close(), streams.Close())
		}
	}, nil
}

// forwarder hands questions on as they come, by the protocol they came by.
type forwarder struct {
	ctx      context.Context
	upstream string
	network  string
}

// ServeDNS implements dns.Handler.
func (f forwarder) ServeDNS(w dns.ResponseWriter, question *dns.Msg) {
	ctx, cancel := context.WithTimeout(f.ctx, queryLimit)
	defer cancel()
	client := dns.Client{Net: f.network, Timeout: queryLimit, UDPSize: dns.MaxMsgSize}
	answer, _, err := client.ExchangeContext(ctx, question, f.upstream)
	if err != nil {
		answer = new(dns.Msg).SetRcode(question, dns.RcodeServerFailure)
	}
	// An answer that cannot be sent is asked for again by whoever waits for it.
	_ = w.WriteMsg(answer)
}

// upstreamDNS is the server to ask, with its port.
func upstreamDNS(given string) (string, error) {
	if given == "" {
		config, err := dns.ClientConfigFromFile("/etc/resolv.conf")
		if err != nil {
			return "", fmt.Errorf("find the runner's DNS server: %w", err)
		}
		if len(config.Servers) == 0 {
			return "", errors.New("/etc/resolv.conf names no DNS server; give server=ADDRESS")
		}
		return net.JoinHostPort(config.Servers[0], config.Port), nil
	}
	if _, err := netip.ParseAddrPort(given); err == nil {
		return given, nil
	}
	return net.JoinHostPort(given, "53"), nil
}

// answers checks that a DNS server answers at all, whatever it says.
func answers(ctx context.Context, upstream string) error {
	client := dns.Client{Timeout: queryLimit}
	if _, _, err := client.ExchangeContext(ctx, new(dns.Msg).SetQuestion(".", dns.TypeNS), upstream); err != nil {
		return fmt.Errorf("ask the DNS server %s from here: %w; give another one with server=ADDRESS", upstream, err)
	}
	return nil
}

// free checks that nothing listens there yet.
func free(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("%w; give another port=", err)
	}
	return l.Close()
}

func planDNS(ctx context.Context, parameters map[string]string) ([]record, error) {
	listen, err := listenAddress(parameters)
	if err != nil {
		return nil, err
	}
	upstream, err := upstreamDNS(parameters["server"])
	if err != nil {
		return nil, err
	}
	if err := answers(ctx, upstream); err != nil {
		return nil, err
	}
	table, err := redirect(parameters["bridge"], listen.Port()).plan(ctx)
	if err != nil {
		return nil, err
	}
	server := record{Process: &process{Args: []string{"remedy", "serve", ServeDNS, listen.String(), upstream}}}
	return append([]record{server}, table...), nil
}

func planProxy(_ context.Context, parameters map[string]string) ([]record, error) {
	listen, err := listenAddress(parameters)
	if err != nil {
		return nil, err
	}
	return []record{{Process: &process{Args: []string{"remedy", "serve", ServeProxy, listen.String()}}}}, nil
}

// listenAddress is the bridge's address with the port, which is free.
func listenAddress(parameters map[string]string) (netip.AddrPort, error) {
	address, err := bridgeAddress(parameters["bridge"])
	if err != nil {
		return netip.AddrPort{}, err
	}
	listen, err := netip.ParseAddrPort(net.JoinHostPort(address.String(), parameters["port"]))
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("read the port: %w", err)
	}
	return listen, free(listen.String())
}
