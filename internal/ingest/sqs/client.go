package sqs

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// answerPatience is how long a call may take. A long poll takes 20 seconds.
const answerPatience = time.Minute

// CheckURL says whether a text is the URL of a queue.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || strings.Trim(u.Path, "/") == "":
		return fmt.Errorf("queue %.300q is not a URL such as https://sqs.eu-central-1.amazonaws.com/123456789012/device-defender-reports", text)
	case u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	}
	return fmt.Errorf("queue %.300q: want https", text)
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

var awsHost = regexp.MustCompile(`^(?:.*\.)?(?:sqs(?:-fips)?\.([a-z0-9-]+)(?:\.vpce)?|([a-z0-9-]+)\.queue)\.amazonaws\.com(?:\.cn)?$`)

// regionOf returns the region that a queue's host names; "" if it names none.
func regionOf(host string) string {
	if m := awsHost.FindStringSubmatch(host); m != nil {
		return m[1] + m[2]
	}
	return ""
}

// newClient makes a client for the queue, with the credentials of AWS's standard chain. AWS_ENDPOINT_URL_SQS
// is honoured; else a host that is not of AWS is the endpoint itself.
func newClient(ctx context.Context, queue string) (*sqs.Client, error) {
	u, err := url.Parse(queue)
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	region := regionOf(u.Hostname())
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion(region), config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(answerPatience)))
	if err != nil {
		return nil, fmt.Errorf("reading the AWS configuration: %w", err)
	}
	if cfg.Region == "" && isLoopback(u.Hostname()) {
		cfg.Region = "us-east-1"
	}
	if cfg.Region == "" {
		return nil, errors.New("no AWS region: the queue's URL names none, so set AWS_REGION")
	}
	return sqs.NewFromConfig(cfg, func(o *sqs.Options) {
		if o.BaseEndpoint == nil && region == "" {
			o.BaseEndpoint = aws.String(u.Scheme + "://" + u.Host)
		}
	}), nil
}
