package main

import "github.com/nestlab/nestlab/internal/dagger"

// Guest is the kernel and the disk of QEMU's guests that nestlab vm run --guest boots.
// They are vmlinuz, initrd and root.img of a small Debian that boots in seconds.
func (m *Nestlab) Guest(
	// Add, in stock, the same with Debian's stock kernel, which has the drivers of the scenarios nic-models.
	// +optional
	stockKernel bool,
) *dagger.Directory {
	return m.images().Guest(stockKernel)
}
