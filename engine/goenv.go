package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// goSettings is what the machine's own Go says about itself.
type goSettings struct {
	GOARCH     string
	GOMODCACHE string
	GOPROXY    string // without a trailing ",direct": there may be no way but the proxy
	GOROOT     string
	GOSUMDB    string
	GOVERSION  string
}

func readGo(ctx context.Context) (goSettings, error) {
	var g goSettings
	cmd := exec.CommandContext(ctx, "go", "env", "-json", "GOARCH", "GOMODCACHE", "GOPROXY", "GOROOT", "GOSUMDB", "GOVERSION")
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN=local")
	b, err := cmd.Output()
	if err != nil {
		return g, fmt.Errorf("ask go for its settings: %w; is go on PATH?", err)
	}
	if err := json.Unmarshal(b, &g); err != nil {
		return g, fmt.Errorf("read go's settings: %w", err)
	}
	g.GOPROXY = strings.TrimSuffix(g.GOPROXY, ",direct")
	return g, nil
}

// proxyNames are the variables that name the machine's proxies, if it has any.
var proxyNames = []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "FTP_PROXY"}

// proxyEnv is the machine's proxy settings as environment entries, in both spellings.
func proxyEnv(lookup func(string) (string, bool)) []string {
	var env []string
	for _, upper := range proxyNames {
		lower := strings.ToLower(upper)
		v, ok := lookup(upper)
		if !ok {
			v, ok = lookup(lower)
		}
		if ok && v != "" {
			env = append(env, upper+"="+v, lower+"="+v)
		}
	}
	return env
}
