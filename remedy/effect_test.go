package remedy_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy"
	"github.com/nestlab/nestlab/testbed/await"
	"github.com/nestlab/nestlab/testbed/nettest"
)

func apply(t *testing.T, r model.Remedy) remedy.Host {
	t.Helper()
	h := remedy.Host{Journal: filepath.Join(t.TempDir(), "journal")}
	require.NoError(t, h.Apply(t.Context(), r))
	t.Cleanup(func() {
		_, err := h.RevertAll(t.Context())
		require.NoError(t, err)
	})
	return h
}

func TestForwarderAnswersGuests(t *testing.T) {
	flush(t)
	nameserver(t)
	guest := nettest.Wire(t)
	apply(t, model.Remedy{Name: "dns-forwarder", Parameters: map[string]string{"bridge": nettest.Near, "server": own}})
	var answer *dns.Msg
	var err error
	guest.Do(t, func() {
		question := new(dns.Msg).SetQuestion("archive.lab.test.", dns.TypeA)
		answer, err = dns.Exchange(question, nettest.NearIP+":53") // nothing listens at that port
	})
	require.NoError(t, err)
	require.Len(t, answer.Answer, 1)
	require.Contains(t, answer.Answer[0].String(), "198.51.100.10")
}

func TestForwarderSaysWhatFails(t *testing.T) {
	machine(t)
	h := remedy.Host{Journal: filepath.Join(t.TempDir(), "journal")}
	err := h.Apply(t.Context(), model.Remedy{Name: "dns-forwarder", Parameters: map[string]string{"bridge": bridge, "server": "127.0.0.1:1"}})
	require.ErrorContains(t, err, "give another one with server=ADDRESS")
	l, err := net.Listen("tcp", "10.77.0.1:5300")
	require.NoError(t, err)
	defer l.Close()
	err = h.Apply(t.Context(), model.Remedy{Name: "dns-forwarder", Parameters: map[string]string{"bridge": bridge, "server": own}})
	require.ErrorContains(t, err, "give another port=")
}

func TestProxyServesGuests(t *testing.T) {
	machine(t)
	apply(t, model.Remedy{Name: "proxy-on-bridge", Parameters: map[string]string{"bridge": bridge}})
	proxy := &url.URL{Scheme: "http", Host: "10.77.0.1:3128"}
	listener, err := net.Listen("tcp", "10.77.0.1:0")
	require.NoError(t, err)
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Method+" "+r.Host) // who asks sees what is missing
	})
	plain := httptest.NewUnstartedServer(answer)
	plain.Listener = listener
	plain.Start()
	defer plain.Close()
	secure := httptest.NewUnstartedServer(answer)
	secure.Listener, err = net.Listen("tcp", "10.77.0.1:0")
	require.NoError(t, err)
	secure.StartTLS()
	defer secure.Close()
	transport := secure.Client().Transport.(*http.Transport).Clone()
	transport.Proxy = http.ProxyURL(proxy)
	transport.TLSClientConfig.ServerName = "example.com" // as the test server's certificate has it
	client := &http.Client{Transport: transport}
	get := func(address string) (int, string) {
		response, err := client.Get(address)
		if err != nil {
			return 0, err.Error()
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response.StatusCode, string(text)
	}
	for _, address := range []string{plain.URL, secure.URL} {
		status, text := get(address)
		require.Equal(t, 200, status, text)
		require.Equal(t, "GET "+strings.SplitN(address, "//", 2)[1], text)
	}
	private := httptest.NewServer(answer) // on loopback
	defer private.Close()
	for _, address := range []string{private.URL, strings.Replace(private.URL, "127.0.0.1", "0.0.0.0", 1), "http://169.254.169.254/latest/meta-data"} {
		status, _ := get(address)
		require.Equal(t, http.StatusBadGateway, status, "%s is not for guests", address)
	}
	_, text := get("https" + strings.TrimPrefix(private.URL, "http"))
	require.Contains(t, text, "Bad Gateway")
	response, err := http.Get("http://10.77.0.1:3128/")
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusBadRequest, response.StatusCode)
}

// The one who was to tell it to begin was killed.
func TestServerWithoutAJournalNeverBegins(t *testing.T) {
	for _, kind := range []string{remedy.ServeDNS, remedy.ServeProxy} {
		r, w := io.Pipe()
		told := make(chan string, 1)
		go func() {
			text, err := io.ReadAll(r)
			if err != nil {
				t.Error(err)
			}
			told <- string(text)
		}()
		s := remedy.Server{Kind: kind, Listen: "127.0.0.1:5301", Upstream: own, Gate: strings.NewReader(""), Told: w}
		require.ErrorContains(t, s.Run(await.Context(t)), "wait to be told to begin")
		require.NoError(t, w.Close())
		require.Empty(t, <-told)
	}
}

func TestPreconditionsSayWhatToDo(t *testing.T) {
	machine(t)
	h := remedy.Host{Journal: filepath.Join(t.TempDir(), "journal")}
	before := snapshot(t)
	check := func(says, name string, words ...string) {
		t.Helper()
		r := model.Remedy{Name: name, Parameters: map[string]string{}}
		for _, w := range words {
			key, value, _ := strings.Cut(w, "=")
			r.Parameters[key] = value
		}
		require.ErrorContains(t, h.Apply(t.Context(), r), says)
		same(t, h, before, name)
	}
	require.ErrorIs(t, h.Apply(t.Context(), model.Remedy{Name: "lxd-before-docker"}), remedy.ErrByHand)
	check("unknown remedy", "nonsense")
	check("`ip -br link` lists", "ipv4-only", "bridge=nowhere0")
	check("is 1500 already", "mtu-match", "interface="+bridge, "mtu=1500", "how=link")
	check("no character device", "kvm-permission", "device=/etc/passwd")
	check("no permission helps", "kvm-permission", "device=/dev/no-kvm")
	check("make it with mkdir", "docker-mtu", "mtu=1400", "file=/etc/docker/no/daemon.json")
	check("the mirror is there already", "registry-mirror", "url=https://old.example")
	check("is not that of an authority", "ca-install", "certificate="+authority(t, false))
	check("no certificate in PEM form", "ca-install", "certificate=/etc/passwd")
	check("see forward-accept", "firewall-forward-accept", "bridge="+bridge)
	check("there is no rule with handle 77", "firewall-forward-accept", "bridge="+bridge, "table=inet fw", "chain=forward", "handle=77")
	lines(t, "iptables-nft -A FORWARD -i nlbr0 -j DROP\niptables-nft -A FORWARD -i nlbr0 -p udp -j DROP")
	before = snapshot(t)
	check("more than one rule that drops can match", "firewall-forward-accept", "bridge="+bridge)
	check("the table ip filter is iptables'", "firewall-forward-accept", "bridge="+bridge, "table=ip filter", "chain=FORWARD", "handle=5")
	docker(t, "27.5.1")
	check("this is Docker 27.5.1", "ip-forward-no-drop")
	docker(t, "20.10.24")
	check("make each network with docker network create -o", "docker-network-mtu", "mtu=1400")
	flush(t)
	before = snapshot(t)
	check("there is no chain DOCKER-USER in family ip", "docker-user-accept", "bridge="+bridge)
	check("there is nothing to do", "forward-accept")
	require.NoError(t, os.WriteFile(daemonJSON, []byte("{ broken"), 0o644))
	before = snapshot(t)
	check("repair it first", "docker-mtu", "mtu=1400")
}

func TestSetKeyKeepsTheRest(t *testing.T) {
	out, err := remedy.SetKey([]byte(`{"z":1.50,"a":{"b":[1, 2]},"mtu":9}`), "mtu", 1400)
	require.NoError(t, err)
	require.Equal(t, "{\n  \"z\": 1.50,\n  \"a\": {\n    \"b\": [\n      1,\n      2\n    ]\n  },\n  \"mtu\": 1400\n}\n", string(out))
}

func FuzzSetKey(f *testing.F) {
	for _, s := range []string{"", "{}", `{"a":1}`, `{"mtu":1,"mtu":2}`, `{"a":1}{`, "[]", "null", `{"a":`, "{\"\xff\":1}", `{"é":"<"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		out, err := remedy.SetKey(text, "mtu", 1400)
		if err != nil {
			return
		}
		var before, after map[string]any
		require.NoError(t, json.Unmarshal(out, &after))
		if strings.TrimSpace(string(text)) != "" {
			require.NoError(t, json.Unmarshal(text, &before), "only JSON is taken")
		}
		if before == nil {
			before = map[string]any{}
		}
		before["mtu"] = float64(1400)
		require.Equal(t, before, after)
	})
}

func FuzzWords(f *testing.F) {
	for _, s := range []string{`-A FORWARD -j DROP`, `-A X -m comment --comment "a \"b\" \\ c" -j Y`, `"`, `a "" b`, `  a`, `\`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		words, err := remedy.Words(line)
		if err != nil {
			return
		}
		var quoted []string
		for _, w := range words {
			quoted = append(quoted, `"`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(w)+`"`)
		}
		again, err := remedy.Words(strings.Join(quoted, " "))
		require.NoError(t, err)
		require.Equal(t, words, again)
	})
}
