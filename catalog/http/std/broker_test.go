package std_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/asyncapi-impl/asyncapi-impl/catalog/conformance"
	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
)

func TestMain(m *testing.M) { os.Exit(brokers.Main(m)) }

func init() {
	testForeign = &conformance.Foreign{Send: func(ctx context.Context, url, address string, payload []byte, headers map[string]string) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/"+address, strings.NewReader(string(payload)))
		if err != nil {
			return err
		}
		for key, value := range headers {
			r.Header.Set(key, value)
		}
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		response, err := client.Do(r)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		_, err = io.Copy(io.Discard, response.Body)
		return err
	}}
}
