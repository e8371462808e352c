package alert

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// secretPrefix begins a secret, as the specification Standard Webhooks has it.
const secretPrefix = "whsec_"

// secretKey decodes a secret: whsec_ and 24 to 64 bytes in base64.
func secretKey(secret string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(secret, secretPrefix)
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(key) < 24 || len(key) > 64 {
		return nil, errors.New("want whsec_ and 24 to 64 random bytes in base64, such as the output of: echo whsec_$(openssl rand -base64 32)")
	}
	return key, nil
}

// CheckSecret says whether messages can be signed with the secret.
func CheckSecret(secret string) error {
	_, err := secretKey(secret)
	return err
}

// sign adds the headers of Standard Webhooks: an id of the message, which is the
// same in each try, the time of this try, and a signature by HMAC-SHA256 of both and
// the body.
func sign(h http.Header, secret, id string, at time.Time, body []byte) error {
	key, err := secretKey(secret)
	if err != nil {
		return err
	}
	timestamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	h.Set("Webhook-Id", id)
	h.Set("Webhook-Timestamp", timestamp)
	h.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return nil
}

// messageID is an id of a message to a channel.
func messageID(channel string, body []byte) string {
	sum := sha256.Sum256(append([]byte(channel+"\x00"), body...))
	return "msg_" + hex.EncodeToString(sum[:16])
}
