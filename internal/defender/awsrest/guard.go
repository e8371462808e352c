package awsrest

import (
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// checkCaller refuses what a web page in a browser of this machine can send.
// It could send requests that change something without being able to read the
// answer (cross-site request forgery), and reads the answers as well when its
// own name is made to resolve to a loopback address (DNS rebinding).
func (a *API) checkCaller(r *http.Request, pages *http.ServeMux) error {
	if err := a.checkHost(r); err != nil {
		return err
	}
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	if origins := r.Header.Values("Origin"); len(origins) > 1 || len(origins) == 1 && !strings.EqualFold(origins[0], scheme+r.Host) {
		return fmt.Errorf("requests of pages from %q are refused", Clip(strings.Join(origins, ", ")))
	}
	switch site := r.Header.Get("Sec-Fetch-Site"); site {
	case "", "none", "same-origin":
		return nil
	default:
		if a.followsLink(r, pages) {
			return nil
		}
		return fmt.Errorf("%s requests of pages are refused", Clip(site))
	}
}

// followsLink reports whether a reader comes to a page by a link of another site.
// That page can't see what there is to see. Where nobody logs in there are no such
// links: whoever reads the pages is on this machine.
func (a *API) followsLink(r *http.Request, pages *http.ServeMux) bool {
	if !a.Authenticates || r.Method != http.MethodGet || r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.Header.Get("Sec-Fetch-Dest") != "document" {
		return false
	}
	_, pattern := pages.Handler(r)
	return pattern != ""
}

// checkHost checks that the caller knows the service by a loopback name and,
// where the connection's is known, by its port; or by a name of its certificate,
// which may be forwarded from another port.
func (a *API) checkHost(r *http.Request) error {
	host, port, err := net.SplitHostPort(r.Host)
	if err != nil { // without a port
		host, port = strings.Trim(r.Host, "[]"), "80"
		if r.TLS != nil {
			port = "443"
		}
	}
	if r.TLS != nil && a.Host != nil && a.Host(host) {
		return nil
	}
	if addr, err := netip.ParseAddr(host); !strings.EqualFold(host, "localhost") && (err != nil || !addr.Unmap().IsLoopback()) {
		if r.TLS != nil {
			return fmt.Errorf("host %q is not in the service's certificate: call the service by a name or address that is", Clip(r.Host))
		}
		return fmt.Errorf("host %q is not a loopback name or address: call the service as 127.0.0.1 or localhost", Clip(r.Host))
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if ok && fmt.Sprint(local.Port) != port {
		return fmt.Errorf("host %q has not the service's port %d", Clip(r.Host), local.Port)
	}
	return nil
}

// checkContentType checks the type of a body. A page of another origin may send
// text, forms and bodies without a type as they are, and has to ask before
// it sends any other type.
func checkContentType(r *http.Request, want []string) error {
	if want == nil {
		want = []string{"application/json"}
	}
	if slices.Equal(want, AnyType) {
		return nil
	}
	text := r.Header.Get("Content-Type")
	mediaType, _, err := mime.ParseMediaType(text)
	if errors.Is(err, mime.ErrInvalidMediaParameter) {
		err = nil
	}
	if err != nil || !slices.Contains(want, mediaType) {
		return &Error{Type: "UnsupportedMediaTypeException", Status: http.StatusUnsupportedMediaType,
			Message: fmt.Sprintf("Content-Type %q, want %s", Clip(text), strings.Join(want, " or "))}
	}
	return nil
}
