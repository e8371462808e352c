package cloud

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/device-defender/device-defender/internal/buildinfo"
	"github.com/device-defender/device-defender/internal/defender/access"
)

// LocalEndpoint is where 'defenderctl serve' listens unless told otherwise.
const LocalEndpoint = "http://127.0.0.1:8787"

// localRegion is the region of what listens on loopback.
const localRegion = "us-east-1"

// Options say which account to work on. The zero value is what the AWS CLI
// would take: environment, shared configuration, the role of this machine.
type Options struct {
	Profile     string // of the shared configuration files, not a security profile
	Region      string
	EndpointURL string // of AWS IoT
	// NotEndpoint, if there is one, reports whether an endpoint is to be passed over that the
	// environment or the configuration names: AWS's own is taken then.
	NotEndpoint func(url string) bool
	Account     string // 12 digits, in case STS cannot be asked
}

// Client works with one account in one region.
type Client struct {
	IoT    *iot.Client
	Region string
	// Local says that the endpoint is on this machine's loopback interface.
	Local bool

	ours     bool // a service of ours answers: it is on loopback, or gave out the access key
	config   aws.Config
	endpoint string // "" is AWS's own
	without  without

	account struct {
		sync.Mutex
		id string
	}
}

// Connect makes a client. It finds credentials and region, but calls no
// service of AWS other than those that hand out credentials.
//
// An endpoint on loopback is 'defenderctl serve' or the like. It neither needs
// credentials of AWS nor should see any: unless a profile is named, requests to it
// are signed with an access key that such a service gave out, or else with one made
// up, and the region is us-east-1 unless given.
func Connect(ctx context.Context, o Options) (*Client, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if o.Profile == "" && isLoopback(o.EndpointURL) {
		return connectLocal(ctx, o)
	}
	cfg, err := config.LoadDefaultConfig(ctx, o.load)
	if err != nil {
		return nil, fmt.Errorf("reading the AWS configuration: %w", err)
	}
	endpoint := cmp.Or(o.EndpointURL, aws.ToString(iot.NewFromConfig(cfg).Options().BaseEndpoint))
	if o.EndpointURL == "" && endpoint != "" && o.NotEndpoint != nil && o.NotEndpoint(endpoint) {
		endpoint = ""
	}
	if isLoopback(endpoint) && o.Profile == "" {
		o.EndpointURL = endpoint
		return connectLocal(ctx, o)
	}
	if cfg.Region == "" {
		return nil, errors.New("no AWS region: give --region, or set AWS_REGION or the profile's region; --local is 'defenderctl serve' on this machine")
	}
	who, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, fmt.Errorf("no AWS credentials: %w; --local is 'defenderctl serve' on this machine, which needs none", err)
	}
	c := newClient(cfg, o, endpoint)
	c.ours = c.ours || access.IsKey(who.AccessKeyID)
	return c, nil
}

// connectLocal takes endpoints and certificates from the environment, and an
// access key of a service, if there is one. The shared configuration files may
// name accounts and ways to credentials that have nothing to do with what
// listens here, or be wrong.
func connectLocal(ctx context.Context, o Options) (*Client, error) {
	env, err := config.NewEnvConfig()
	if err != nil {
		return nil, fmt.Errorf("reading the AWS configuration: %w", err)
	}
	client := httpClient()
	if env.CustomCABundle != "" {
		if client, err = withRoots(client, env.CustomCABundle); err != nil {
			return nil, err
		}
	}
	var base *string
	if env.BaseEndpoint != "" { // of all services
		base = aws.String(env.BaseEndpoint)
	}
	return newClient(aws.Config{
		BaseEndpoint: base,
		Region:       cmp.Or(o.Region, localRegion), Credentials: credentials.StaticCredentialsProvider{Value: localCredentials(ctx, env)},
		ConfigSources: []any{env}, HTTPClient: client,
	}, o, o.EndpointURL), nil
}

// localCredentials returns the access key of a service that is in the environment
// or in the credentials file; if there is none, one made up.
func localCredentials(ctx context.Context, env config.EnvConfig) aws.Credentials {
	found := env.Credentials
	if found.AccessKeyID == "" {
		file := cmp.Or(env.SharedCredentialsFile, config.DefaultSharedCredentialsFilename())
		shared, err := config.LoadSharedConfigProfile(ctx, cmp.Or(env.SharedConfigProfile, config.DefaultSharedConfigProfile), func(o *config.LoadSharedConfigOptions) {
			o.CredentialsFiles, o.ConfigFiles = []string{file}, []string{}
		})
		if err == nil { // a file that is wrong is none
			found = shared.Credentials
		}
	}
	if access.IsKey(found.AccessKeyID) && found.SessionToken == "" {
		return found
	}
	return aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local"}
}

// withRoots returns the client with the authorities of a PEM file instead of the
// system's, as the SDK has it.
func withRoots(client *awshttp.BuildableClient, bundle string) (*awshttp.BuildableClient, error) {
	text, err := os.ReadFile(bundle)
	if err != nil {
		return nil, fmt.Errorf("AWS_CA_BUNDLE: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("AWS_CA_BUNDLE: %s has no certificate in PEM", bundle)
	}
	return client.WithTransportOptions(func(t *http.Transport) {
		if t.TLSClientConfig == nil {
			t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		t.TLSClientConfig.RootCAs = roots
	}), nil
}

// Check returns what is wrong with the options by themselves.
func (o Options) Check() error {
	if o.EndpointURL != "" {
		u, err := url.Parse(o.EndpointURL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return fmt.Errorf("endpoint %q is not a URL as %s", o.EndpointURL, LocalEndpoint)
		}
	}
	if o.Account != "" && (len(o.Account) != 12 || strings.Trim(o.Account, "0123456789") != "") {
		return fmt.Errorf("account %q is not 12 digits", o.Account)
	}
	return nil
}

func (o Options) load(l *config.LoadOptions) error {
	l.SharedConfigProfile = o.Profile
	l.Region = o.Region
	l.HTTPClient = httpClient()
	l.AppID = "defenderctl/" + buildinfo.Version()
	if isLoopback(o.EndpointURL) {
		l.EC2IMDSClientEnableState = imds.ClientDisabled // its answer would be waited for
	}
	return nil
}

// answerPatience is how long one call may take. The SDK would wait for ever.
const answerPatience = time.Minute

// httpClient is the SDK's own: a certificate bundle of the configuration can
// be added to it.
func httpClient() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().WithTimeout(answerPatience)
}

// How often a call is made at most. Throttling of a busy account can last.
const (
	maxAttempts      = 8
	maxAttemptsLocal = 3 // it's there or it's not
	maxBackoffLocal  = 200 * time.Millisecond
)

func newClient(cfg aws.Config, o Options, endpoint string) *Client {
	c := &Client{Region: cfg.Region, Local: isLoopback(endpoint), config: cfg, endpoint: endpoint}
	c.ours = c.Local
	c.account.id = o.Account
	c.IoT = iot.NewFromConfig(cfg, func(io *iot.Options) {
		c.without.add(io)
		io.BaseEndpoint = optional(endpoint)
		if c.Local {
			io.Retryer = retry.NewStandard(func(r *retry.StandardOptions) {
				r.MaxAttempts, r.MaxBackoff = maxAttemptsLocal, maxBackoffLocal
			})
			return
		}
		if cfg.RetryMaxAttempts == 0 {
			io.RetryMaxAttempts = maxAttempts
		}
		io.APIOptions = append(io.APIOptions, newPacer().add)
	})
	return c
}

// isLoopback reports whether a URL is of this machine's loopback interface.
func isLoopback(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return err == nil && addr.Unmap().IsLoopback() || strings.EqualFold(u.Hostname(), "localhost")
}

// Source says what the client works on.
func (c *Client) Source() string {
	if c.endpoint != "" {
		return c.endpoint
	}
	return "AWS IoT in " + c.Region
}

// AccountID returns the account's number: 12 digits. STS tells it, and needs
// no permission to.
func (c *Client) AccountID(ctx context.Context) (string, error) {
	c.account.Lock()
	defer c.account.Unlock()
	if c.account.id != "" {
		return c.account.id, nil
	}
	client := sts.NewFromConfig(c.config, func(o *sts.Options) {
		// 'defenderctl serve' answers STS as well.
		if c.ours && c.endpoint != "" && !c.hasOwn(o.BaseEndpoint) {
			o.BaseEndpoint = aws.String(c.endpoint)
		}
		o.Retryer = c.IoT.Options().Retryer
	})
	out, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", fmt.Errorf("%w; --account gives the account's number without asking", c.failed("find out the account", err))
	}
	c.account.id = aws.ToString(out.Account)
	return c.account.id, nil
}

// hasOwn reports whether a service besides AWS IoT has an endpoint that is
// configured for it. AWS_ENDPOINT_URL, which is for all services, is not.
func (c *Client) hasOwn(endpoint *string) bool {
	return endpoint != nil && strings.TrimSuffix(*endpoint, "/") != strings.TrimSuffix(c.endpoint, "/")
}

// HasSNS reports whether there are topics and roles: on AWS always, beside a
// service of ours if AWS_ENDPOINT_URL_SNS and AWS_ENDPOINT_URL_IAM say where.
func (c *Client) HasSNS() bool {
	return !c.ours || c.hasOwn(c.sns().Options().BaseEndpoint) && c.hasOwn(c.iam().Options().BaseEndpoint)
}

func (c *Client) sns() *sns.Client { return sns.NewFromConfig(c.config) }

func (c *Client) iam() *iam.Client { return iam.NewFromConfig(c.config) }
