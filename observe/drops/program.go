package drops

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/nestlab/nestlab/observe"
)

// The event that the program writes: at these offsets, in the machine's order.
const (
	atLocation  = 0  // 8 bytes
	atReason    = 8  // 4
	atNamespace = 12 // 4
	atIndex     = 16 // 4
	atInput     = 20 // 4
	atLength    = 24 // 4
	atTail      = 28 // 4
	atHeader    = 32 // 2: where the network header begins
	atName      = 40 // 16
	atPacket    = 56 // snap bytes from the network header on
	snap        = 80
	eventSize   = atPacket + snap
)

// The program's stack, from the frame pointer down.
const (
	stackEvent   = -eventSize
	stackPointer = stackEvent - 8
	stackPorts   = stackPointer - 8
)

// Registers that calls preserve.
const (
	regContext = asm.R6
	regSKB     = asm.R7
	regAt      = asm.R8 // what is being looked into
	regOther   = asm.R9
)

const labelOut, labelMatch = "out", "match"

// program assembles what runs at each drop: it reads the packet's header, lets go
// of what is of no flow, finds the device and the namespace, and puts the event
// into the map. It needs bpf_probe_read_kernel (Linux 5.5).
func program(l *layout, flows []observe.Flow, namespaces []uint32, out output) asm.Instructions {
	p := &assembler{layout: l}
	p.add(
		asm.Mov.Reg(regContext, asm.R1),
		asm.LoadMem(regSKB, regContext, int16(l.argSKB), asm.DWord),
		asm.Mov.Imm(asm.R1, 0),
	)
	for at := stackPorts; at < 0; at += 8 {
		p.add(asm.StoreMem(asm.RFP, int16(at), asm.R1, asm.DWord))
	}
	if l.argReason >= 0 {
		p.add(asm.LoadMem(asm.R1, regContext, int16(l.argReason), asm.DWord))
		for _, reason := range l.consumed {
			p.add(asm.JEq.Imm32(asm.R1, reason, labelOut))
		}
		p.add(asm.StoreMem(asm.RFP, stackEvent+atReason, asm.R1, asm.Word))
	}
	p.add(
		asm.LoadMem(asm.R1, regContext, int16(l.argLocation), asm.DWord),
		asm.StoreMem(asm.RFP, stackEvent+atLocation, asm.R1, asm.DWord),
	)
	p.readPacket()
	for _, f := range flows {
		p.match(f.Protocol, f.Source, f.Destination, f.SourcePort, f.DestinationPort)
		p.match(f.Protocol, f.Destination, f.Source, f.DestinationPort, f.SourcePort)
	}
	p.add(asm.Ja.Label(labelOut))
	p.label(labelMatch)
	p.readDevice(namespaces)
	out.write(p)
	p.label(labelOut)
	p.add(asm.Mov.Imm(asm.R0, 0), asm.Return())
	return p.code
}

// assembler collects instructions; a label goes to the next one.
type assembler struct {
	layout  *layout
	code    asm.Instructions
	pending string
	labels  int
}

func (p *assembler) add(ins ...asm.Instruction) {
	for _, i := range ins {
		if p.pending != "" {
			i, p.pending = i.WithSymbol(p.pending), ""
		}
		p.code = append(p.code, i)
	}
}

// label names the next instruction.
func (p *assembler) label(name string) {
	if p.pending != "" { // two labels in one place
		p.add(asm.Mov.Reg(asm.R1, asm.R1))
	}
	p.pending = name
}

func (p *assembler) newLabel() string {
	p.labels++
	return fmt.Sprintf("l%d", p.labels)
}

// read copies kernel memory to the stack. What cannot be read is zeros there.
func (p *assembler) read(to int, size int32, from asm.Register, offset int32) {
	p.add(
		asm.Mov.Reg(asm.R1, asm.RFP), asm.Add.Imm(asm.R1, int32(to)),
		asm.Mov.Imm(asm.R2, size),
		asm.Mov.Reg(asm.R3, from), asm.Add.Imm(asm.R3, offset),
		asm.FnProbeReadKernel.Call(),
	)
}

// follow loads the pointer at an offset.
func (p *assembler) follow(to, from asm.Register, offset int32) {
	p.read(stackPointer, 8, from, offset)
	p.add(asm.LoadMem(to, asm.RFP, stackPointer, asm.DWord))
}

// readPacket reads the network header, and the ports behind it; zeros where there
// are none or where only the whole header would tell.
func (p *assembler) readPacket() {
	l := p.layout
	p.follow(regAt, regSKB, l.head)
	p.read(stackEvent+atHeader, 2, regSKB, l.networkHeader)
	p.add(
		asm.LoadMem(asm.R1, asm.RFP, stackEvent+atHeader, asm.Half),
		asm.JEq.Imm(asm.R1, 0xffff, labelOut), // not set
		asm.Add.Reg(regAt, asm.R1),
	)
	p.read(stackEvent+atPacket, snap, regAt, 0)
	six, ports, done := p.newLabel(), p.newLabel(), p.newLabel()
	p.add(
		asm.LoadMem(regOther, asm.RFP, stackEvent+atPacket, asm.Byte),
		asm.Mov.Reg(asm.R4, regOther), asm.And.Imm(asm.R4, 0x0f), asm.LSh.Imm(asm.R4, 2),
		asm.RSh.Imm(regOther, 4), // the version stays there
		asm.JEq.Imm(regOther, 6, six),
		asm.JNE.Imm(regOther, 4, labelOut),
		asm.LoadMem(asm.R1, asm.RFP, stackEvent+atPacket+6, asm.Half),
		asm.HostTo(asm.BE, asm.R1, asm.Half), asm.And.Imm(asm.R1, 0x1fff),
		asm.JNE.Imm(asm.R1, 0, done), // a later fragment
		asm.LoadMem(asm.R5, asm.RFP, stackEvent+atPacket+9, asm.Byte),
		asm.Ja.Label(ports),
	)
	p.label(six)
	p.add(
		asm.Mov.Imm(asm.R4, 40),
		asm.LoadMem(asm.R5, asm.RFP, stackEvent+atPacket+6, asm.Byte),
	)
	p.label(ports)
	p.add(
		asm.JEq.Imm(asm.R5, int32(observe.TCP), ports+"ours"),
		asm.JNE.Imm(asm.R5, int32(observe.UDP), done),
	)
	p.label(ports + "ours")
	p.add(asm.Add.Reg(regAt, asm.R4))
	p.read(stackPorts, 4, regAt, 0)
	p.label(done)
}

// match jumps to the match for a packet of these ends. What the kernel cannot
// tell easily, the ports of fragments and whatever is behind IPv6 extension
// headers, is let through: the reader looks again.
func (p *assembler) match(protocol observe.Protocol, source, destination netip.Prefix, sourcePort, destinationPort uint16) {
	f := observe.Flow{Source: source, Destination: destination}
	if f.Is4() {
		p.matchFamily(4, 9, 12, 4, protocol, f, sourcePort, destinationPort)
	}
	if f.Is6() {
		p.matchFamily(6, 6, 8, 16, protocol, f, sourcePort, destinationPort)
	}
}

func (p *assembler) matchFamily(version int32, atProtocol, atSource, size int, protocol observe.Protocol, f observe.Flow, ports ...uint16) {
	next := p.newLabel()
	p.add(asm.JNE.Imm(regOther, version, next))
	p.network(stackEvent+atPacket+atSource, f.Source, next)
	p.network(stackEvent+atPacket+atSource+size, f.Destination, next)
	if protocol != 0 {
		p.add(asm.LoadMem(asm.R1, asm.RFP, int16(stackEvent+atPacket+atProtocol), asm.Byte))
		for _, extension := range extensions {
			if version == 6 {
				p.add(asm.JEq.Imm(asm.R1, int32(extension), labelMatch))
			}
		}
		p.add(asm.JNE.Imm(asm.R1, int32(protocol), next))
	}
	known := p.newLabel()
	p.add(
		asm.LoadMem(asm.R1, asm.RFP, stackPorts, asm.Word),
		asm.JNE.Imm32(asm.R1, 0, known),
		asm.Ja.Label(labelMatch),
	)
	p.label(known)
	for i, port := range ports {
		if port != 0 {
			p.add(
				asm.LoadMem(asm.R1, asm.RFP, int16(stackPorts+2*i), asm.Half),
				asm.HostTo(asm.BE, asm.R1, asm.Half),
				asm.JNE.Imm(asm.R1, int32(port), next),
			)
		}
	}
	p.add(asm.Ja.Label(labelMatch))
	p.label(next)
}

// network jumps away from a packet whose address at a place is outside a network.
func (p *assembler) network(at int, n netip.Prefix, away string) {
	if !n.IsValid() {
		return
	}
	address, bits := n.Masked().Addr().AsSlice(), n.Bits()
	for i := 0; i < len(address) && bits > 0; i += 4 {
		p.add(asm.LoadMem(asm.R1, asm.RFP, int16(at+i), asm.Word))
		if bits < 32 {
			mask := binary.BigEndian.AppendUint32(nil, ^uint32(0)<<(32-bits))
			p.add(asm.And.Imm32(asm.R1, int32(binary.NativeEndian.Uint32(mask))))
		}
		p.add(asm.JNE.Imm32(asm.R1, int32(binary.NativeEndian.Uint32(address[i:])), away))
		bits -= 32
	}
}

// output is the map that takes the events.
type output struct {
	events, lost *ebpf.Map
	perf         bool
}
