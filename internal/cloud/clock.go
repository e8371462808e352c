package cloud

import (
	"cmp"
	"context"
	"net/http"
	"os"
	"strings"
	"time"
)

const (
	// clockPatience is how long an endpoint on this machine may take to tell the
	// time.
	clockPatience = 30 * time.Second

	// clockError is how far a clock may be from this machine's and count as the
	// same: Date has no fraction of a second.
	clockError = 2 * time.Second
)

// Now is the time for a command. AWS's is this machine's; a service on
// loopback may have one of its own, when it was told to begin in the past, and
// says it in the Date of its answers.
func (o Options) Now(ctx context.Context) time.Time {
	endpoint := cmp.Or(o.EndpointURL, os.Getenv("AWS_ENDPOINT_URL_IOT"), os.Getenv("AWS_ENDPOINT_URL"))
	if !isLoopback(endpoint) || strings.HasPrefix(endpoint, "https:") { // one with TLS has no clock of its own
		return time.Now()
	}
	ctx, cancel := context.WithTimeout(ctx, clockPatience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(endpoint, "/")+"/endpoint", nil)
	if err != nil {
		return time.Now()
	}
	request.Close = true
	asked := time.Now()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return time.Now() // what is asked for next fails, and says why
	}
	response.Body.Close()
	date, err := http.ParseTime(response.Header.Get("Date"))
	now := time.Now() // the answer may have taken a while
	if err != nil || date.After(asked.Add(-clockError)) && date.Before(now.Add(clockError)) {
		return now
	}
	return date.Add(time.Second) // nothing that has happened is in the future
}
