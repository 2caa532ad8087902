// nestlab tells what works inside the environments nested in a CI runner.
package main

// Nestlab is the root of the module.
type Nestlab struct{}

// Hello says hello.
func (m *Nestlab) Hello() string { return "hello" }
