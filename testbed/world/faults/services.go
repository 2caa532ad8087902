package faults

import (
	"context"
	"net/http"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/testbed/world/internet"
)

// behave is a fault of the internet's servers.
func behave(change func(*internet.Behavior)) func(context.Context, Lab) (Restore, error) {
	return func(ctx context.Context, lab Lab) (Restore, error) {
		undo, err := lab.Behave(ctx, change)
		return Restore(undo), err
	}
}

// answers is a fault of what HTTP and HTTPS answer.
func answers(a internet.Answer) func(context.Context, Lab) (Restore, error) {
	return behave(func(b *internet.Behavior) { b.Answers = append(b.Answers, a) })
}

// names are the faults of the resolver.
func names() []Fault {
	return []Fault{
		{
			Name: "dns-upstream-dead", About: "the resolver takes queries and answers none",
			Affects: environments(), Break: behave(func(b *internet.Behavior) { b.SilentDNS = true }),
		},
		{
			Name: "aaaa-only", About: "the names have IPv6 addresses alone, and there is no IPv6 route",
			Affects: environments(), Break: behave(func(b *internet.Behavior) { b.OnlyIPv6 = true }),
		},
	}
}

// tooMany is Docker Hub's answer to who pulls too often.
const tooMany = `{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}`

// services are the faults of what the internet serves.
func services() []Fault {
	everywhere := environments()
	return []Fault{
		{
			Name: "registry-down", About: "the registry answers 503 to everything", Affects: everywhere,
			Break: answers(internet.Answer{Host: internet.Registry, Status: http.StatusServiceUnavailable, Body: "down\n"}),
		},
		{
			Name: "registry-rate-limit", About: "the registry answers 429 to pulls",
			Affects: append([]string{model.EnvRunner}, containers()...),
			Break: answers(internet.Answer{
				Host: internet.Registry, Path: "/v2/library", Status: http.StatusTooManyRequests, Body: tooMany,
				Header: map[string]string{"Retry-After": "3600", "Content-Type": "application/json"},
			}),
		},
		{
			Name: "apt-mirror-5xx", About: "the apt mirror answers 503", Affects: everywhere,
			Break: answers(internet.Answer{Host: internet.Archive, Path: "/debian/", Status: http.StatusServiceUnavailable, Body: "down\n"}),
		},
		{
			Name: "slow-mirror", About: "the apt mirror sends 512 bytes a second", Affects: everywhere,
			Break: answers(internet.Answer{Host: internet.Archive, Path: "/debian/", BytesPerSecond: 512}),
		},
		{
			Name: "tls-intercepted", About: "HTTPS shows certificates of an authority that nobody here trusts", Affects: everywhere,
			Break: behave(func(b *internet.Behavior) { b.Certificate = internet.CertificateForeign }),
		},
		{
			Name: "clock-skew", About: "by this machine's clock the internet's certificates ended an hour ago", Affects: everywhere,
			Break: behave(func(b *internet.Behavior) { b.Certificate = internet.CertificateExpired }),
		},
	}
}
