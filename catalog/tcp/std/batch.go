package std

// batchBytes is about how much a Send with several envelopes writes at once.
const batchBytes = 64 << 10

// batch are messages on their way.
type batch struct {
	wire []byte // never changed: writing may outlive the Send
	ends []int  // where in wire each message ends
}

// newBatch has room for the envelopes, or for a batch of them.
func newBatch(envelopes []*EnvelopeOut) *batch {
	room := 0
	for _, e := range envelopes {
		if e != nil {
			room += len(e.payload) + 16
		}
		if room >= batchBytes {
			break
		}
	}
	return &batch{wire: make([]byte, 0, room)}
}

// written drops the messages that are within the first n bytes. What is left
// begins with the one that was cut: the peer does not count half of one.
func (b *batch) written(n int) {
	start, count := 0, 0
	for _, end := range b.ends {
		if end > n {
			break
		}
		start, count = end, count+1
	}
	b.wire, b.ends = b.wire[start:], b.ends[count:]
	for i := range b.ends {
		b.ends[i] -= start
	}
}

// send writes envelopes in batches and gives what came of each. Of a batch that
// failed, write leaves the messages that were not written.
func send(envelopes []*EnvelopeOut, o *Options, write func(*batch) error) error {
	errs, failed := make(SendErrors, len(envelopes)), false
	b, index := newBatch(envelopes), []int(nil)
	flush := func() {
		if len(b.ends) == 0 {
			return
		}
		if err := write(b); err != nil {
			failed = true
			for _, i := range index[len(index)-len(b.ends):] {
				errs[i] = err
			}
		}
	}
	for i, e := range envelopes {
		wire, err := e.frame(b.wire, o)
		if err != nil {
			errs[i], failed = err, true
			continue
		}
		b.wire, b.ends, index = wire, append(b.ends, len(wire)), append(index, i)
		if len(wire) >= batchBytes {
			flush()
			b, index = newBatch(envelopes[i+1:]), index[:0]
		}
	}
	flush()
	switch {
	case !failed:
		return nil
	case len(errs) == 1:
		return errs[0]
	}
	return errs
}
