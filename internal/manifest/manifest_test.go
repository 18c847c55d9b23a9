package manifest_test

import (
	"errors"
	"testing"

	"github.com/asyncapi-impl/asyncapi-impl/internal/manifest"
)

func TestDescribe(t *testing.T) {
	// What sha256sum and git hash-object say of "a\n".
	want := manifest.File{
		SHA256: "87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7",
		Blob:   "78981922613b2afb6025042ff6bd878ac1994e85",
	}
	for _, text := range []string{"a\n", "a\r\n"} {
		if got := manifest.Describe([]byte(text)); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

func TestDecode(t *testing.T) {
	m := &manifest.Manifest{Schema: 1, Driver: "kafka/x", Package: "kafka", Files: map[string]manifest.File{"a.go": {}}}
	text, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := manifest.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	again, err := back.Encode()
	if err != nil || string(again) != string(text) {
		t.Errorf("got %s, %v\nwant %s", again, err, text)
	}

	var newer *manifest.NewerError
	if _, err := manifest.Decode([]byte(`{"schema": 2, "files": 7}`)); !errors.As(err, &newer) {
		t.Errorf("got %v, want a NewerError", err)
	}
	for _, text := range []string{"", "{}", "[]", `{"schema": 1, "driver": "x"}`} {
		if _, err := manifest.Decode([]byte(text)); err == nil {
			t.Errorf("%q: want an error", text)
		}
	}
}
