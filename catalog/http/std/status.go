package std

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// StatusError is a response that is not 2xx. It is an ErrRefused; 401 and 403
// are ErrUnauthorized as well, 404 and 410 ErrNotFound, 413 ErrTooLarge.
type StatusError struct {
	Code   int
	Header http.Header
	// Body is the response's, at most its first 64 KiB.
	Body []byte
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("%d %s", e.Code, http.StatusText(e.Code))
	if body := strings.TrimSpace(string(e.Body[:min(len(e.Body), 200)])); body != "" {
		text += ": " + strconv.QuoteToGraphic(body)
	}
	return text
}

// Is makes errors.Is work with this package's errors.
func (e *StatusError) Is(target error) bool {
	switch target {
	case ErrRefused:
		return true
	case ErrUnauthorized:
		return e.Code == http.StatusUnauthorized || e.Code == http.StatusForbidden
	case ErrNotFound:
		return e.Code == http.StatusNotFound || e.Code == http.StatusGone
	case ErrTooLarge:
		return e.Code == http.StatusRequestEntityTooLarge
	}
	return false
}

// Retryable tells whether the same request may be taken later (408, 425, 429
// and 5xx but 501 and 505), and after which time, where Retry-After says so.
func (e *StatusError) Retryable() (after time.Duration, ok bool) {
	switch e.Code {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return 0, false
	default:
		if e.Code < 500 {
			return 0, false
		}
	}
	value := e.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second, true
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(time.Until(date), 0), true
	}
	return 0, true
}
