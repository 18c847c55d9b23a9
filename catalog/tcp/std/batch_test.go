package std

import (
	"errors"
	"slices"
	"testing"
)

// TestBatchWritten: what a connection has not taken whole is what is left.
func TestBatchWritten(t *testing.T) {
	for n, want := range map[int]string{0: "aabbbcccc", 1: "aabbbcccc", 2: "bbbcccc", 4: "bbbcccc", 5: "cccc", 8: "cccc", 9: ""} {
		b := &batch{wire: []byte("aabbbcccc"), ends: []int{2, 5, 9}}
		b.written(n)
		if string(b.wire) != want || len(b.ends) > 0 && b.ends[len(b.ends)-1] != len(want) {
			t.Errorf("after %d bytes %q is left, with ends %v", n, b.wire, b.ends)
		}
	}
}

// TestSendErrors: of a batch that breaks off, those written before count.
func TestSendErrors(t *testing.T) {
	o, err := (*Options)(nil).withDefaults(RoleDial)
	if err != nil {
		t.Fatal(err)
	}
	bad := NewEnvelopeOut()
	bad.SetContentType("text/plain")
	broken := errors.New("broken")
	err = send([]*EnvelopeOut{NewEnvelopeOut(), bad, NewEnvelopeOut(), nil, NewEnvelopeOut()}, &o, func(b *batch) error {
		b.written(8)
		return broken
	})
	var errs SendErrors
	if !errors.As(err, &errs) || len(errs) != 5 {
		t.Fatalf("got %v", err)
	}
	failed := []bool{errs[0] != nil, errors.Is(errs[1], ErrUnsupported), errs[2] != nil, errs[3] != nil, errors.Is(errs[4], broken)}
	if !slices.Equal(failed, []bool{false, true, false, true, true}) {
		t.Errorf("got %v", errs)
	}
}
