package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/device-defender/device-defender/internal/openid"
	"github.com/device-defender/device-defender/internal/server"
)

// oidcOptions are the flags of serve for people who log in at an OpenID provider.
type oidcOptions struct {
	issuer     string
	clientID   string
	secretFile string
	claim      string
	roles      []string
}

func (o *oidcOptions) flags(flags *pflag.FlagSet) {
	flags.StringVar(&o.issuer, "oidc-issuer", "", "URL of an OpenID Connect provider at which people log in to the pages (default none)")
	flags.StringVar(&o.clientID, "oidc-client-id", "", "the service's client id at the provider; its redirect URI is https://HOST/login/callback")
	flags.StringVar(&o.secretFile, "oidc-client-secret-file", "", "file with the client's secret (default none, a public client)")
	flags.StringVar(&o.claim, "oidc-roles-claim", openid.DefaultClaim, "claim of the ID token that has the groups of who logs in")
	flags.StringArrayVar(&o.roles, "oidc-role", nil, "ROLE=GROUP: members of the group have the role viewer, operator or admin; may be given several times")
}

// personRoles are the roles that people can have, the most powerful first.
var personRoles = []string{"admin", "operator", "viewer"}

// part is what a server has by the flags; nil if there is no provider.
func (o *oidcOptions) part(authentication bool) ([]server.Option, error) {
	if o.issuer == "" {
		if o.clientID != "" || o.secretFile != "" || len(o.roles) > 0 {
			return nil, usageError{errors.New("--oidc-issuer is missing, and the other --oidc flags need it")}
		}
		return nil, nil
	}
	if !authentication {
		return nil, usageError{errors.New("--oidc-issuer: there is a login only with authentication, give --auth on")}
	}
	options := openid.Options{Issuer: o.issuer, ClientID: o.clientID, Claim: o.claim}
	if o.clientID == "" {
		return nil, usageError{errors.New("--oidc-client-id is missing")}
	}
	var err error
	if options.Grants, err = grants(o.roles); err != nil {
		return nil, usageError{err}
	}
	if options.Secret, err = readSecret(o.secretFile); err != nil {
		return nil, fmt.Errorf("--oidc-client-secret-file: %w", err)
	}
	provider, err := openid.New(options)
	if err != nil {
		return nil, usageError{fmt.Errorf("--oidc-issuer: %w", err)}
	}
	return []server.Option{server.WithOpenID(provider)}, nil
}

// grants reads pairs of role and group. Who is in several groups has the most powerful
// role of them.
func grants(pairs []string) ([]openid.Grant, error) {
	var list []openid.Grant
	for _, pair := range pairs {
		role, group, _ := strings.Cut(pair, "=")
		if !slices.Contains(personRoles, role) || group == "" {
			return nil, fmt.Errorf("--oidc-role %q, want ROLE=GROUP with a role of %s", pair, strings.Join(personRoles, ", "))
		}
		list = append(list, openid.Grant{Role: role, Group: group})
	}
	if list == nil {
		return nil, errors.New("--oidc-role is missing: without one nobody has a role")
	}
	slices.SortStableFunc(list, func(a, b openid.Grant) int {
		return slices.Index(personRoles, a.Role) - slices.Index(personRoles, b.Role)
	})
	return list, nil
}

// readSecret reads a file that has a secret in it, and perhaps the end of its line.
func readSecret(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	const most = 4096
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return "", err
	}
	secret := strings.TrimSpace(string(data))
	if secret == "" || len(data) > most {
		return "", fmt.Errorf("%s has %d bytes, want a secret of 1 to %d", name, len(data), most)
	}
	return secret, nil
}
