package cli

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/device-defender/device-defender/internal/server"
)

// subscribeOptions are the flags of serve for a broker of MQTT that is there already.
type subscribeOptions struct {
	server.SubscribeOptions
}

func (o *subscribeOptions) flags(flags *pflag.FlagSet) {
	flags.StringVar(&o.URL, "subscribe", "", "broker of MQTT 5 to take reports from, such as mqtts://broker.example:8883; its rules must allow each client its own topics only (default none)")
	flags.StringVar(&o.CA, "subscribe-ca", "", "file of the authorities of the broker's certificate, PEM (default the system's)")
	flags.StringVar(&o.Certificate, "subscribe-certificate", "", "file of the client certificate for the broker, PEM")
	flags.StringVar(&o.Key, "subscribe-key", "", "file of that certificate's private key, PEM")
	flags.StringVar(&o.User, "subscribe-user", "", "user name for the broker")
	flags.StringVar(&o.Password, "subscribe-password-file", "", "file with the password for the broker")
	flags.StringVar(&o.Group, "subscribe-group", "", "share the subscription with services that name the same group; Mosquitto can't for these topics")
	flags.StringVar(&o.ClientID, "subscribe-client-id", "", "client id at the broker (default one of this host and --data)")
	flags.BoolVar(&o.Replies, "subscribe-replies", false, "publish the replies to reports")
}

func (o *subscribeOptions) check() error {
	if o.URL == "" {
		if o.CA+o.Certificate+o.Key+o.User+o.Password+o.Group+o.ClientID != "" || o.Replies {
			return usageError{errors.New("the flags --subscribe-... want --subscribe")}
		}
		return nil
	}
	if err := o.Check(); err != nil {
		return usageError{fmt.Errorf("--subscribe: %w", err)}
	}
	return nil
}

// subscribe has the server subscribe, if it is to.
func (o *subscribeOptions) subscribe(s *server.Server, data string, console *console) error {
	if o.URL == "" {
		return nil
	}
	if o.ClientID == "" {
		host, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("--subscribe-client-id: %w", err)
		}
		folder, err := filepath.Abs(data)
		if err != nil {
			return fmt.Errorf("--subscribe-client-id: %w", err)
		}
		o.ClientID = fmt.Sprintf("device-defender-%.40s-%.8x", host, sha256.Sum256([]byte(folder)))
	}
	if err := s.Subscribe(o.SubscribeOptions); err != nil {
		return fmt.Errorf("--subscribe: %w", err)
	}
	console.line("serve", "taking reports from "+o.URL)
	return nil
}
