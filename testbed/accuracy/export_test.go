package accuracy

import "io"

// Lines is one writer of several.
func Lines(to io.Writer, name string) io.Writer { return (&lines{to: to}).of(name) }
