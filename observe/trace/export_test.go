package trace

// Decode and OwnerOf are for fuzzing.
var Decode = decode

// WithoutOwner has the table made as before Linux 5.12.
func (o Options) WithoutOwner() Options {
	o.withoutOwner = true
	return o
}

// Hold keeps messages from being read until the returned function is called.
func (t *Tracer) Hold() (release func()) {
	t.mu.Lock()
	return t.mu.Unlock
}

// OwnerOf reads who made a table from its name.
func OwnerOf(table string) (pid int, ok bool) {
	o, ok := ownerOf(table)
	return o.pid, ok
}
