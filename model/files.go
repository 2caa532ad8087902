package model

// The files of a run's directory.
const (
	RunFile     = "run.json"
	JournalFile = "journal.jsonl"
	// ErrorFile is there when the run was not finished, and says why.
	ErrorFile = "error.txt"

	SummaryFile   = "summary.txt"
	TableFile     = "report.txt"
	MarkdownFile  = "report.md"
	DiagnosisFile = "diagnosis.txt"
	JUnitFile     = "junit.xml"
	TAPFile       = "results.tap"
)
