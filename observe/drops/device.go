package drops

import "github.com/cilium/ebpf/asm"

// readDevice finds the packet's device, that of its route where it has none, or
// else its socket, and from these the namespace; it lets go of packets in other
// namespaces than these, if there are any.
func (p *assembler) readDevice(namespaces []uint32) {
	l := p.layout
	noDevice, noRoute, found, done := p.newLabel(), p.newLabel(), p.newLabel(), p.newLabel()
	p.read(stackEvent+atLength, 4, regSKB, l.length)
	p.read(stackEvent+atTail, 4, regSKB, l.tail)
	p.read(stackEvent+atInput, 4, regSKB, l.input)
	p.follow(regAt, regSKB, l.device)
	p.add(asm.JEq.Imm(regAt, 0, noDevice))
	// A socket's queue keeps other things there: then nothing is read.
	p.follow(regOther, regAt, l.deviceNet)
	p.add(asm.JNE.Imm(regOther, 0, found))
	p.label(noDevice)
	p.follow(regAt, regSKB, l.route)
	p.add(asm.And.Imm(regAt, -2)) // SKB_DST_NOREF
	p.add(asm.JEq.Imm(regAt, 0, noRoute))
	p.follow(regAt, regAt, l.routeDevice)
	p.add(asm.JEq.Imm(regAt, 0, noRoute))
	p.follow(regOther, regAt, l.deviceNet)
	p.add(asm.JNE.Imm(regOther, 0, found))
	p.label(noRoute)
	p.follow(regAt, regSKB, l.socket)
	p.add(asm.JEq.Imm(regAt, 0, done))
	p.follow(regOther, regAt, l.socketNet)
	p.add(asm.JEq.Imm(regOther, 0, done))
	p.read(stackEvent+atNamespace, 4, regOther, l.inode)
	p.add(asm.Ja.Label(done))
	p.label(found)
	p.read(stackEvent+atNamespace, 4, regOther, l.inode)
	p.read(stackEvent+atIndex, 4, regAt, l.deviceIndex)
	p.read(stackEvent+atName, nameSize, regAt, l.deviceName)
	p.label(done)
	if len(namespaces) == 0 {
		return
	}
	here := p.newLabel()
	p.add(asm.LoadMem(asm.R1, asm.RFP, stackEvent+atNamespace, asm.Word))
	for _, n := range namespaces {
		p.add(asm.JEq.Imm32(asm.R1, int32(n), here))
	}
	p.add(asm.Ja.Label(labelOut))
	p.label(here)
}

const (
	nameSize   = 16         // IFNAMSIZ
	currentCPU = 0xffffffff // BPF_F_CURRENT_CPU
)

// write puts the event into the map. A ring buffer says when it is full; the
// reader of a perf buffer is told by the kernel.
func (o output) write(p *assembler) {
	if o.perf {
		p.add(
			asm.Mov.Reg(asm.R1, regContext),
			asm.LoadMapPtr(asm.R2, o.events.FD()),
			asm.LoadImm(asm.R3, currentCPU, asm.DWord),
			asm.Mov.Reg(asm.R4, asm.RFP), asm.Add.Imm(asm.R4, stackEvent),
			asm.Mov.Imm(asm.R5, eventSize),
			asm.FnPerfEventOutput.Call(),
		)
		return
	}
	p.add(
		asm.LoadMapPtr(asm.R1, o.events.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, stackEvent),
		asm.Mov.Imm(asm.R3, eventSize),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnRingbufOutput.Call(),
		asm.JEq.Imm(asm.R0, 0, labelOut),
		asm.LoadMapValue(asm.R1, o.lost.FD(), 0),
		asm.Mov.Imm(asm.R2, 1),
		asm.StoreXAdd(asm.R1, asm.R2, asm.DWord),
	)
}
