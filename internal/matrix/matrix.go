// Package matrix turns the conformance suite's results into tables of what the
// drivers can do, for the README and for asyncapi-impl show.
//
// The suite writes one file of JSON lines for each driver and broker into the
// directory that ASYNCAPI_IMPL_RESULTS names. The copy of a full run is
// committed; everything here is a pure function of it.
package matrix

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// Result is one line: the outcome of a check on a driver with a broker.
type Result struct {
	Driver  string `json:"driver"`
	Broker  string `json:"broker,omitempty"`
	Check   string `json:"check"`
	Topic   string `json:"topic"`
	Outcome string `json:"outcome"` // pass, skip or fail
	Reason  string `json:"reason,omitempty"`
}

// topics are the columns, in the order of a message's life.
var topics = []string{
	"messages", "headers", "order", "subscribers", "redelivery", "receive", "send", "close",
	"faults", "access", "replies", "interoperation", "leaks",
}

// Read gives the results of every .jsonl file in the directory, sorted by
// driver and broker and otherwise in the order of the files.
func Read(dir fs.FS) ([]Result, error) {
	names, err := fs.Glob(dir, "*.jsonl")
	if err != nil {
		return nil, err
	}
	var results []Result
	for _, name := range names {
		data, err := fs.ReadFile(dir, name)
		if err != nil {
			return nil, err
		}
		lines := bufio.NewScanner(bytes.NewReader(data))
		for n := 1; lines.Scan(); n++ {
			var r Result
			if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", name, n, err)
			}
			if r.Driver == "" || r.Check == "" || !slices.Contains([]string{"pass", "skip", "fail"}, r.Outcome) {
				return nil, fmt.Errorf("%s:%d: not a result: %s", name, n, lines.Text())
			}
			if !slices.Contains(topics, r.Topic) {
				return nil, fmt.Errorf("%s:%d: no column for the topic %q", name, n, r.Topic)
			}
			results = append(results, r)
		}
		if err := lines.Err(); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	slices.SortStableFunc(results, func(a, b Result) int {
		return cmp.Or(cmp.Compare(a.Driver, b.Driver), cmp.Compare(a.Broker, b.Broker))
	})
	return results, nil
}

// run is what one driver did with one broker.
type run struct {
	driver, broker string
	results        []Result
}

func runs(results []Result) []run {
	var all []run
	for _, r := range results {
		if n := len(all); n == 0 || all[n-1].driver != r.Driver || all[n-1].broker != r.Broker {
			all = append(all, run{driver: r.Driver, broker: r.Broker})
		}
		last := &all[len(all)-1]
		last.results = append(last.results, r)
	}
	return all
}

// Markdown gives a row for each driver and broker and a column for each topic
// with the number of checks that passed.
func Markdown(results []Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| driver | broker | %s |\n", strings.Join(topics, " | "))
	fmt.Fprintf(&b, "|%s\n", strings.Repeat("---|", len(topics)+2))
	for _, r := range runs(results) {
		fmt.Fprintf(&b, "| %s | %s |", r.driver, cmp.Or(r.broker, "none"))
		for _, topic := range topics {
			fmt.Fprintf(&b, " %s |", r.cell(topic))
		}
		b.WriteString("\n")
	}
	return b.String()
}

func (r run) cell(topic string) string {
	count := map[string]int{}
	for _, result := range r.results {
		if result.Topic == topic {
			count[result.Outcome]++
		}
	}
	switch {
	case count["fail"] > 0:
		return fmt.Sprintf("%d, **%d failed**", count["pass"], count["fail"])
	case count["pass"] > 0:
		return fmt.Sprint(count["pass"])
	}
	return "–"
}

// Text tells of one driver's results what passed with each broker, and what was
// left out for which reason.
func Text(results []Result, driver string) []string {
	var lines []string
	for _, r := range runs(results) {
		if r.driver != driver {
			continue
		}
		passed, skipped := 0, map[string][]string{}
		for _, result := range r.results {
			switch result.Outcome {
			case "pass":
				passed++
			case "skip":
				skipped[result.Reason] = append(skipped[result.Reason], result.Check)
			}
		}
		lines = append(lines, fmt.Sprintf("%s: %d of %d checks pass", cmp.Or(r.broker, "without a broker"), passed, len(r.results)))
		for _, reason := range slices.Sorted(maps.Keys(skipped)) {
			lines = append(lines, fmt.Sprintf("  left out, %s: %s", reason, strings.Join(skipped[reason], ", ")))
		}
	}
	return lines
}

// Skips gives for each driver and broker, written driver@broker, the reason of
// every check that was left out: what a test compares with the expected ones.
func Skips(results []Result) map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, r := range results {
		key := strings.TrimSuffix(r.Driver+"@"+r.Broker, "@")
		if all[key] == nil {
			all[key] = map[string]string{}
		}
		if r.Outcome == "skip" {
			all[key][r.Check] = r.Reason
		}
	}
	return all
}

const begin, end = "<!-- conformance -->", "<!-- /conformance -->"

// Splice puts the table between the marks of a document.
func Splice(document, table string) (string, error) {
	before, rest, found := strings.Cut(document, begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		return "", fmt.Errorf("the document has no place for the table: put %s and %s into it", begin, end)
	}
	return before + begin + "\n" + table + end + after, nil
}
