package alert

import (
	"net/http"
	"testing"
	"time"
)

// The example of Standard Webhooks, which its libraries are tested with.
func TestSignature(t *testing.T) {
	h := http.Header{}
	err := sign(h, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if err != nil || h.Get("webhook-id") != "msg_p5jXN8AQM9LWM0D4loKWxJek" || h.Get("webhook-timestamp") != "1614265330" ||
		h.Get("webhook-signature") != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Errorf("%v, %v", h, err)
	}
}

func TestSecretIsChecked(t *testing.T) {
	for secret, right := range map[string]bool{
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw": true,
		"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw":       false,
		"whsec_":                                 false, "whsec_c2hvcnQ=": false, "whsec_%%%": false, "": false,
	} {
		if err := CheckSecret(secret); (err == nil) != right {
			t.Errorf("%q: %v", secret, err)
		}
	}
}
