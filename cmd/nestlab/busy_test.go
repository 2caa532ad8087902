package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBusy(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{
		"0.10 0.20 0.30 1/200 4711": 1, "2.00 1.00 0.50 3/200 4711": 1, "6.00 1.00 0.50 9/200 4711": 3,
		"99.00 9.00 9.00 99/999 4711": most, "": 1, "none": 1, "NaN 1 1": 1,
	} {
		_, times := busy(text, 2)
		require.Equal(t, want, times, text)
	}
}
