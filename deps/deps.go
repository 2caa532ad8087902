//go:build deps

// Package deps keeps modules in go.mod until the code that imports them has landed.
package deps

import _ "github.com/mdlayher/packet"
