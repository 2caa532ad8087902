package probe

import (
	"bufio"
	"context"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/net/http/httpproxy"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/inroot"
)

// tryProxy asks for a URL by the proxy that a program is told to use for it, and gives that
// proxy without its secrets. What is not to go by one has no reason. A name or password that
// is not known here is not tried.
func (e *env) tryProxy(ctx context.Context, c httpproxy.Config, u string) (string, observation) {
	asked, err := url.Parse(u)
	if err != nil {
		return "", observation{}
	}
	// A proxy that is no URL the program does not take either.
	proxy, err := c.ProxyFunc()(asked)
	if err != nil || proxy == nil {
		return "", observation{}
	}
	secret := proxy.User != nil
	shown := withoutSecrets(proxy.String())
	plain := *proxy
	plain.User = nil
	o := e.fetchBy(ctx, e.dialer(), http.ProxyURL(&plain), http.MethodGet, u)
	switch {
	case o.values["status"] == "401": // a registry that wants a token
		o.reason = ""
	case secret && o.reason == model.ProxyRequired:
		o.reason = "" // it answers, and wants the name and password that it was not given
	case o.reason == model.HTTPStatus:
		o.reason = "" // it answers for the server
	case o.reason == model.TLSUntrusted:
		o.reason = "" // the program may know the authority
	}
	return shown, o
}

// aptProxy is what apt is told to use for HTTP and HTTPS with a host, and the file that says so.
func aptProxy(ctx context.Context, host string) (httpproxy.Config, string) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "apt-config", "dump", "Acquire")
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return httpproxy.Config{}, ""
	}
	c := parseAptProxy(string(out), host)
	first := c.HTTPProxy
	if first == "" {
		first = c.HTTPSProxy
	}
	return c, aptFileWith(first)
}

// parseAptProxy reads the lines `Acquire::http::Proxy "URL";` that apt-config prints.
// What is said of the host alone goes before.
func parseAptProxy(text, host string) httpproxy.Config {
	var c httpproxy.Config
	host, own := strings.ToLower(host), map[*string]string{}
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		key, value, ok := strings.Cut(lines.Text(), " ")
		value = strings.Trim(strings.TrimSuffix(strings.TrimSpace(value), ";"), `"`)
		if !ok {
			continue
		}
		key = strings.ToLower(key)
		if strings.EqualFold(value, "DIRECT") {
			value = ""
		}
		switch key {
		case "acquire::http::proxy":
			c.HTTPProxy = value
		case "acquire::https::proxy":
			c.HTTPSProxy = value
		case "acquire::http::proxy::" + host:
			own[&c.HTTPProxy] = value
		case "acquire::https::proxy::" + host:
			own[&c.HTTPSProxy] = value
		}
	}
	for proxy, value := range own {
		*proxy = value
	}
	return c
}

// maxAptFile bounds how long one of apt's configuration files may be.
const maxAptFile = 1 << 20

// aptFileWith is the last of apt's configuration files that has a text; empty for none.
func aptFileWith(text string) string {
	if text == "" {
		return ""
	}
	files, err := filepath.Glob("/etc/apt/apt.conf.d/*")
	if err != nil {
		return ""
	}
	found := ""
	for _, path := range append(files, "/etc/apt/apt.conf") {
		content, err := inroot.Read("", path, maxAptFile)
		if err == nil && strings.Contains(string(content), text) {
			found = path
		}
	}
	return found
}

// explainAptProxy says of an apt that fails, though its mirrors answer, that it is its proxy.
func (e *env) explainAptProxy(ctx context.Context, o *observation) {
	bases, err := e.apt.mirrors(ctx, e.targets)
	if err != nil || len(bases) == 0 {
		return
	}
	base, err := url.Parse(bases[0])
	if err != nil {
		return
	}
	config, file := aptProxy(ctx, base.Hostname())
	if config.HTTPProxy == "" && config.HTTPSProxy == "" {
		return
	}
	proxy, failed := e.tryProxy(ctx, config, bases[0]+"InRelease")
	if failed.reason == "" {
		return
	}
	o.reason = model.ProxyFailed
	o.err = both(o.err, failed.err)
	if o.values == nil {
		o.values = map[string]string{}
	}
	o.values["proxy"], o.values["proxy_reason"], o.values["proxy_of"], o.values["proxy_file"] = proxy, string(failed.reason), "apt", file
}
