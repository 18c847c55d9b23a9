package brokers_test

import (
	"encoding/base64"
	"fmt"
	"time"

	"github.com/asyncapi-impl/asyncapi-impl/internal/brokers"
)

func unsecuredToken() string {
	now := time.Now()
	claims := fmt.Sprintf(`{"sub":%q,"iat":%d,"exp":%d}`, brokers.User, now.Unix(), now.Add(time.Hour).Unix())
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"none"}`)) + "." + encode([]byte(claims)) + "."
}
