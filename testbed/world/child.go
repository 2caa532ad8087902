package world

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// The roles of the world's own processes.
const (
	roleInternet = "internet"
	roleRunner   = "runner-init"
	roleReap     = "reap"
)

// ChildMain is the body of the processes that a world starts from its own
// executable as `nestlab world child ROLE [ARGS]`. It is not for people.
func ChildMain(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("world child: no role given: nestlab starts this command itself")
	}
	switch args[0] {
	case roleInternet:
		return internetChild(ctx)
	case roleRunner:
		return runnerInit(ctx)
	case roleReap:
		code, err := reap(args[1:])
		if err == nil {
			os.Exit(code)
		}
		return err
	}
	return fmt.Errorf("world child: unknown role %q: nestlab starts this command itself", args[0])
}
