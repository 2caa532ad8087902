package accuracy

// NoIntervention says, of causes that no change to the runner can prove, why not.
// Of all others the diagnosis has to carry the change out.
func NoIntervention() map[string]string {
	const around = "the change that is known leads around what is wrong, which helps and proves nothing about it"
	const elsewhere = "it lies with a server that is not the runner's to change, and no other one is known"
	return map[string]string{
		"proxy-required":         "the proxy wants a name and a password, which nobody has told",
		"dns-upstream-dead":      "no other resolver is known that could be asked instead",
		"aaaa-only":              "the runner cannot give names IPv4 addresses, nor itself a way to IPv6",
		"registry-down":          elsewhere,
		"registry-rate-limit":    elsewhere,
		"apt-mirror-5xx":         elsewhere,
		"slow-mirror":            elsewhere,
		"tls-intercepted":        "whether the authority that is shown may be trusted is not for nestlab to decide, not even for a minute",
		"clock-skew":             "the clock is the whole machine's, also of what is not nestlab's",
		"dockerd-no-privilege":   "a daemon gets its privileges from whoever starts it",
		"upstream-blocks-guests": around,
		"v6-no-route":            around,
		"agent-not-ready":        "the agent is the guest image's own, or its channel the machine's definition's",
	}
}
