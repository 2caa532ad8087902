package listen

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/nestlab/nestlab/observe"
)

// packetSockets reads the lists of packet and raw sockets. A kernel without the
// sockets has no list of them.
func packetSockets(names map[uint32]string) ([]Packet, error) {
	var all []Packet
	var errs []error
	for file, parse := range map[string]func([]string, map[uint32]string) (Packet, error){
		"packet": parsePacket, "raw": parseRaw, "raw6": parseRaw,
	} {
		path := "/proc/thread-self/net/" + file
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("list sockets: %w", err))
			continue
		}
		list, err := parseList(f, names, parse)
		if err = errors.Join(err, f.Close()); err != nil {
			errs = append(errs, fmt.Errorf("list sockets in %s: %w", path, err))
		}
		all = append(all, list...)
	}
	return all, errors.Join(errs...)
}

// parseList reads a table of /proc/net: a header, then one socket a line.
func parseList(r io.Reader, names map[uint32]string, parse func([]string, map[uint32]string) (Packet, error)) ([]Packet, error) {
	var all []Packet
	scanner := bufio.NewScanner(r)
	for scanner.Scan() && len(all) < maxSockets {
		fields := strings.Fields(scanner.Text())
		if len(fields) == 0 || fields[0] == "sk" || fields[0] == "sl" {
			continue
		}
		p, err := parse(fields, names)
		if err != nil {
			return all, fmt.Errorf("invalid line %q: %w", scanner.Text(), err)
		}
		all = append(all, p)
	}
	return all, scanner.Err()
}

var errFields = errors.New("too few fields")

// parsePacket reads "sk RefCnt Type Proto Iface R Rmem User Inode".
func parsePacket(f []string, names map[uint32]string) (Packet, error) {
	if len(f) < 9 {
		return Packet{}, errFields
	}
	kind, err1 := strconv.ParseUint(f[3], 16, 16)
	index, err2 := strconv.ParseUint(f[4], 10, 32)
	uid, err3 := strconv.ParseUint(f[7], 10, 32)
	inode, err4 := strconv.ParseUint(f[8], 10, 32)
	p := Packet{EtherType: uint16(kind), Device: names[uint32(index)], UID: uint32(uid), Inode: uint32(inode)}
	if index != 0 && p.Device == "" {
		p.Device = fmt.Sprintf("if%d", index)
	}
	return p, errors.Join(err1, err2, err3, err4)
}

// parseRaw reads "sl local_address …": the port is the protocol, the eighth field
// the user, the tenth the inode.
func parseRaw(f []string, _ map[uint32]string) (Packet, error) {
	if len(f) < 10 {
		return Packet{}, errFields
	}
	_, port, _ := strings.Cut(f[1], ":")
	protocol, err1 := strconv.ParseUint(port, 16, 8)
	uid, err2 := strconv.ParseUint(f[7], 10, 32)
	inode, err3 := strconv.ParseUint(f[9], 10, 32)
	return Packet{Protocol: observe.Protocol(protocol), UID: uint32(uid), Inode: uint32(inode)}, errors.Join(err1, err2, err3)
}
