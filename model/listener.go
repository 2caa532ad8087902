package model

import "net/netip"

// Listener takes packets to a port of the runner.
type Listener struct {
	Protocol  string         `json:"protocol"`
	Address   netip.AddrPort `json:"address"`
	Interface string         `json:"interface,omitempty"`
	Process   string         `json:"process,omitempty"`
	PID       int            `json:"pid,omitempty"`
	// Stopped is set where that process is stopped by a signal.
	Stopped bool `json:"stopped,omitempty"`
	// Options are those of dnsmasq that decide what it gives to guests: names and addresses.
	Options []string `json:"options,omitempty"`
	// Servers are those that dnsmasq asks for any name; ServersRead is set where all were read.
	Servers     []NameServer `json:"servers,omitempty"`
	ServersRead bool         `json:"servers_read,omitempty"`
	// Pools are the ranges of addresses that dnsmasq gives out.
	Pools []DHCPPool `json:"pools,omitempty"`
}

// DHCPPool is a range of addresses that a DHCP server gives out.
type DHCPPool struct {
	First netip.Addr `json:"first"`
	Last  netip.Addr `json:"last"`
	// Leased have a lease that has not run out, Reserved are kept for known guests, and Taken
	// are one or both; what could not be read is not counted.
	Leased   int `json:"leased"`
	Reserved int `json:"reserved"`
	Taken    int `json:"taken"`
}

// NameServer is one that the runner asked itself, as names failed in a place.
type NameServer struct {
	Address netip.AddrPort `json:"address"`
	// Answer is the code that it answered with, such as NOERROR; empty for none, and Reason
	// says why.
	Answer string `json:"answer,omitempty"`
	Reason Reason `json:"reason,omitempty"`
}
