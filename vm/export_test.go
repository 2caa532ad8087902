package vm

// Networked is for tests.
var Networked = networked
