package matrix

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

var update = flag.Bool("update", false, "write the expected files anew")

func TestMarkdown(t *testing.T) {
	results, err := Read(os.DirFS("testdata"))
	if err != nil {
		t.Fatal(err)
	}
	const name = "testdata/want.md"
	got := Markdown(results)
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: expected\n%s\ngot\n%s", name, want, got)
	}
}

func TestText(t *testing.T) {
	results, err := Read(os.DirFS("testdata"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"embedded: 1 of 3 checks pass",
		"  left out, the broker cannot be killed: server-killed",
		"  left out, the protocol has no replies: request-reply",
		"real 4.1: 1 of 3 checks pass",
		"  left out, the protocol has no replies: request-reply",
	}
	if got := Text(results, "kafka/one"); !slices.Equal(got, want) {
		t.Errorf("expected\n%q\ngot\n%q", want, got)
	}
}

func TestSkips(t *testing.T) {
	results, err := Read(os.DirFS("testdata"))
	if err != nil {
		t.Fatal(err)
	}
	skips := Skips(results)
	if got := skips["kafka/one@embedded"]["request-reply"]; got != "the protocol has no replies" {
		t.Errorf("expected the reason of the skipped check, got %q in %v", got, skips)
	}
	if got, found := skips["kafka/one@real 4.1"]; !found || len(got) != 1 {
		t.Errorf("expected one skip with the other broker, got %v", got)
	}
}

func TestReadRefuses(t *testing.T) {
	for _, line := range []string{
		`{`,
		`{"driver":"a/b","check":"c","topic":"order","outcome":"maybe"}`,
		`{"driver":"a/b","check":"c","topic":"unheard of","outcome":"pass"}`,
		`{"check":"c","topic":"order","outcome":"pass"}`,
	} {
		_, err := Read(fstest.MapFS{"bad.jsonl": {Data: []byte(line + "\n")}})
		if err == nil || !strings.Contains(err.Error(), "bad.jsonl:1") {
			t.Errorf("%s: expected an error that names the line, got %v", line, err)
		}
	}
}

func TestSplice(t *testing.T) {
	got, err := Splice("a\n"+begin+"\nold\n"+end+"\nb\n", "new\n")
	if want := "a\n" + begin + "\nnew\n" + end + "\nb\n"; err != nil || got != want {
		t.Errorf("expected %q, got %q and %v", want, got, err)
	}
	if again, err := Splice(got, "new\n"); err != nil || again != got {
		t.Errorf("a second time changes the document to %q, %v", again, err)
	}
	if _, err := Splice("no marks", "new\n"); err == nil {
		t.Error("expected an error for a document without marks")
	}
}
