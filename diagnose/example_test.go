package diagnose_test

import (
	"fmt"
	"os"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/report"
)

// A journal in, a finding out.
func ExampleDiagnose() {
	journal, err := os.Open("testdata/whole-run.jsonl")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer journal.Close()
	run, err := report.Fold(journal)
	if err != nil {
		fmt.Println(err)
		return
	}
	d := diagnose.Diagnose(run)
	fmt.Println(d.Title)
	fmt.Println(d.Cause, d.Confidence, d.Environments)
	for _, command := range d.Remedy.Commands {
		fmt.Println(command)
	}
	// Output:
	// Docker's FORWARD policy drops what guests of other bridges send
	// docker-forward-drop proven [lxd-container qemu-bridge]
	// iptables -I DOCKER-USER -i lxdbr0 -j ACCEPT
	// iptables -I DOCKER-USER -o lxdbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
}
