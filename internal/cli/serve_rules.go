package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/device-defender/device-defender/internal/server"
)

// ruleSecretVariable is where the secret of rules is, unless it is in a file.
const ruleSecretVariable = "DEFENDER_RULE_SECRET"

// ruleOptions are the flags of serve for rules of AWS IoT that post to it.
type ruleOptions struct {
	secretFile string
	accounts   []string
}

func (o *ruleOptions) flags(flags *pflag.FlagSet) {
	flags.StringVar(&o.secretFile, "rule-secret-file", "", "file with the secret that rules of AWS IoT send when they post to "+server.RulesPath+" (default $"+ruleSecretVariable+", else rules can't post)")
	flags.StringSliceVar(&o.accounts, "rule-accounts", nil, "AWS accounts whose rules may post: their destinations are confirmed")
}

// parts are what a server has by the flags.
func (o *ruleOptions) parts(console *console) ([]server.Option, error) {
	secret := os.Getenv(ruleSecretVariable)
	if o.secretFile != "" {
		text, err := os.ReadFile(o.secretFile)
		if err != nil {
			return nil, fmt.Errorf("--rule-secret-file: %w", err)
		}
		secret = strings.TrimRight(string(text), "\r\n")
		if secret == "" {
			return nil, fmt.Errorf("--rule-secret-file: %s is empty", o.secretFile)
		}
	}
	if secret == "" {
		if len(o.accounts) > 0 {
			return nil, usageError{errors.New("--rule-accounts wants a secret, by --rule-secret-file or $" + ruleSecretVariable)}
		}
		return nil, nil
	}
	console.line("serve", "rules may post to "+server.RulesPath)
	return []server.Option{server.WithRules(secret, o.accounts)}, nil
}
