// Package access has what is common to those who give out access keys and those
// who use them.
package access

import (
	"fmt"
	"strings"
)

// KeyPrefix is what the ids of access keys begin with that a service gives out.
// Those of AWS begin in another way.
const KeyPrefix = "DDAK"

// IsKey reports whether a service of ours gave out the access key.
func IsKey(id string) bool { return strings.HasPrefix(id, KeyPrefix) }

// Credentials is the text of a credentials file of AWS's clients.
func Credentials(id, secret string) string {
	return fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", id, secret)
}
