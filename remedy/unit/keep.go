package unit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/remedy"
	"github.com/nestlab/nestlab/report"
)

const (
	// quiet is what it is waited for after a change: who writes rules writes many.
	quiet = 300 * time.Millisecond
	// calm bounds how often remedies are applied where somebody else takes them away
	// each time.
	calm = 2 * time.Second
	// often is how often it is looked without a sign: iptables-legacy, routes and settings
	// give none. It is also when what could not be applied is tried again.
	often = 15 * time.Second
	// lastly bounds what is done at the end.
	lastly = time.Minute
)

// Keep applies the remedies of the list, and again whenever one is gone, until the context
// ends. Then it reverts them. It says on log what it does.
func Keep(ctx context.Context, h remedy.Host, log io.Writer) (err error) {
	changes, end, err := changed()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	told := ""
	for first := true; ; first = false {
		restored, open := h.Restore(ctx, remedy.Persistent)
		for _, r := range restored {
			say(log, "applied: %s", remedy.Text(r))
		}
		if open != nil && open.Error() != told {
			say(log, "not applied yet: %v", open)
		}
		if told = ""; open != nil {
			told = open.Error()
		}
		if first {
			if err := notify("READY=1"); err != nil {
				return err
			}
		}
		if !wait(ctx, changes, len(restored) > 0) {
			break
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastly)
	defer cancel()
	return h.Withdraw(ctx, remedy.Persistent)
}

func say(log io.Writer, format string, args ...any) {
	// What cannot be logged is no reason to stop.
	_, _ = fmt.Fprintln(log, report.Line(fmt.Sprintf(format, args...)))
}

// wait returns when it is time to look again: some time after a change, however many more
// there are. It is false where the context ended.
func wait(ctx context.Context, changes <-chan struct{}, restored bool) bool {
	at := time.NewTimer(often)
	defer at.Stop()
	next := quiet
	if restored {
		next = calm
	}
	for {
		select {
		case <-ctx.Done():
			return false
		case <-at.C:
			return true
		case <-changes:
			at.Reset(next)
			changes = nil
		}
	}
}

// changed gives a sign for each change of the rules of nf_tables, many as one.
func changed() (<-chan struct{}, func() error, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err == nil {
		err = conn.JoinGroup(unix.NFNLGRP_NFTABLES)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("be told of changes of the rules: %w", err)
	}
	signs := make(chan struct{}, 1)
	go func() {
		for {
			_, err := conn.Receive()
			// More than fit in: these are signs all the same.
			if err != nil && !errors.Is(err, unix.ENOBUFS) {
				return // it was closed
			}
			select {
			case signs <- struct{}{}:
			default:
			}
		}
	}()
	return signs, conn.Close, nil
}

// notify tells systemd, where that asked for it (sd_notify(3)).
func notify(state string) (err error) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err == nil {
		_, err = io.WriteString(c, state)
		err = errors.Join(err, c.Close())
	}
	if err != nil {
		return fmt.Errorf("tell systemd: %w", err)
	}
	return nil
}
