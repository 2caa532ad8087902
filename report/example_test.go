package report_test

import (
	"fmt"
	"os"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model/modeltest"
	"github.com/nestlab/nestlab/report"
)

// A run as a person sees it in a log.
func ExampleFormat_Show() {
	run := modeltest.Proven()
	run.Diagnosis = diagnose.Diagnose(run)
	format, err := report.FindFormat("table")
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := format.Show(os.Stdout, run, report.Style{Width: 60}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// Docker's FORWARD policy drops what guests of other bridges
	// send (docker-forward-drop, proven)
	// Affected: lxd-container, qemu-bridge
	// Fix (docker-user-accept):
	//
	//     iptables -I DOCKER-USER -i lxdbr0 -j ACCEPT
	//     iptables -I DOCKER-USER -o lxdbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
	//
	//  probe                            │ runner,
	//                                   │ dind build,
	//                                   │ dind run,
	//                                   │ qemu-user
	// ──────────────────────────────────┼─────────────
	//  tcp-connect 198.51.100.10:443    │ pass
	//  http http://archive.lab.test/    │
	//  https https://registry.lab.test/ │
	//
	//  probe                            │ lxd-container,
	//                                   │ qemu-bridge
	// ──────────────────────────────────┼─────────────────
	//  tcp-connect 198.51.100.10:443    │ FAIL
	//  http http://archive.lab.test/    │ connect-timeout
	//  https https://registry.lab.test/ │
	//
	// 1 probe passes everywhere
	// 1 probe is xfail no-reply everywhere: icmp-echo
	//   archive.lab.test
	// 6 environments, 30 probes: 18 pass, 6 xfail, 6 fail
	// Observed 2026-03-01 12:00:00 UTC, run
	//   6f9619ff-8b86-4011-b42d-00c04fc964ff
}

// What a check of a run says.
func ExampleVerdict() {
	run := modeltest.Healthy()
	run.Diagnosis = diagnose.Diagnose(run)
	ok, lines := report.Verdict(run)
	fmt.Println(ok)
	for _, line := range lines {
		fmt.Println(line)
	}
	// Output:
	// true
	// 6 environments, 30 probes: 24 pass, 6 xfail
	// Observed 2026-03-01 12:00:00 UTC, run 6f9619ff-8b86-4011-b42d-00c04fc964ff
}
