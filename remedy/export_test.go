package remedy

// WithReached gives a host that tells each point of a change as it is reached.
func (h Host) WithReached(f func(point string)) Host {
	h.reached = f
	return h
}
