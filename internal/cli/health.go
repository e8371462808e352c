package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// healthPatience is how long an answer may take.
const healthPatience = 10 * time.Second

func newHealth() *cobra.Command {
	return &cobra.Command{
		Use:   "health [URL]",
		Short: "Ask a service whether it is ready",
		Long: `Ask a 'defenderctl serve' whether it is there and can read its database: exit code
0 says yes, 1 no. It takes no credentials. URL is where the service is; without, it
is this machine's ` + defaultListen + `, with TLS or not.

It is for container engines and scripts. The certificate of a loopback address is
not verified, as it is for the service's name.`,
		Example: `  defenderctl health
  defenderctl health https://127.0.0.1:8443`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			urls := []string{"http://" + defaultListen, "https://" + defaultListen}
			if len(args) == 1 {
				urls = args
			}
			var errs []error
			for _, u := range urls {
				err := askHealth(cmd.Context(), u)
				if err == nil {
					fmt.Fprintln(cmd.OutOrStdout(), u, "is ready")
					return nil
				}
				errs = append(errs, err)
			}
			return errors.Join(errs...)
		},
	}
}

func askHealth(ctx context.Context, service string) error {
	u, err := url.Parse(service)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return usageError{fmt.Errorf("%q is no URL of a service, such as https://127.0.0.1:8443", service)}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	if addr, err := netip.ParseAddr(u.Hostname()); err == nil && addr.Unmap().IsLoopback() || u.Hostname() == "localhost" {
		transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true} // nothing secret is sent
	}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, healthPatience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(service, "/")+"/readyz", nil)
	if err != nil {
		return err
	}
	answer, err := transport.RoundTrip(r)
	if err != nil {
		return fmt.Errorf("%s: %w", service, err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", service, answer.Status)
	}
	return nil
}
