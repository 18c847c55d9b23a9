package conformance

import (
	"bytes"
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Outcomes of a check.
const (
	Pass = "pass"
	Skip = "skip"
	Fail = "fail"
)

// Result is the outcome of one check.
type Result struct {
	Driver  string `json:"driver"`
	Broker  string `json:"broker,omitempty"`
	Check   string `json:"check"`
	Topic   string `json:"topic"`
	Promise string `json:"-"` // as Checks tells it
	Outcome string `json:"outcome"`
	// Reason says why the check was left out.
	Reason string `json:"reason,omitempty"`
}

// Report is what Run found, sorted by the order of the checks.
type Report struct {
	mu      sync.Mutex
	Results []Result
}

// Skipped gives the reason for each check that was left out.
func (r *Report) Skipped() map[string]string {
	skipped := map[string]string{}
	for _, result := range r.Results {
		if result.Outcome == Skip {
			skipped[result.Check] = result.Reason
		}
	}
	return skipped
}

func (r *Report) add(result Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Results = append(r.Results, result)
}

func (r *Report) sort() {
	position := map[string]int{}
	for i, c := range checks {
		position[c.name] = i
	}
	slices.SortFunc(r.Results, func(a, b Result) int { return cmp.Compare(position[a.Check], position[b.Check]) })
}

// write puts the results into a file of the directory, one for each driver and
// broker.
func (r *Report) write(dir, driver, broker string) error {
	var lines bytes.Buffer
	encoder := json.NewEncoder(&lines)
	encoder.SetEscapeHTML(false)
	for _, result := range r.Results {
		if err := encoder.Encode(result); err != nil {
			return err
		}
	}
	name := strings.NewReplacer("/", "-", " ", "-").Replace(driver)
	if broker != "" {
		name += "@" + strings.NewReplacer("/", "-", " ", "-").Replace(broker)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name+".jsonl"), lines.Bytes(), 0o666)
}
