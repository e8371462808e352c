package service

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"
)

// newCertificate returns a self-signed certificate in PEM, and its SHA-256.
func newCertificate(t *testing.T, until time.Time) (text, id string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: until.Add(-time.Hour), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), hex.EncodeToString(sum[:])
}

func TestThingIsKnownByItsCertificates(t *testing.T) {
	s := openService(t, Options{})
	handler := s.Handler()
	register := func(thing, text string, status int, says string) {
		t.Helper()
		body, err := json.Marshal(map[string]string{"certificatePem": text})
		if err != nil {
			t.Fatal(err)
		}
		w := send(t, handler, "POST", "/things/"+thing+"/certificates", jsonBody, string(body))
		if w.Code != status || !strings.Contains(w.Body.String()+w.Header().Get("X-Amzn-ErrorType"), says) {
			t.Errorf("%s: %d %s %s, want %d %s", thing, w.Code, w.Header().Get("X-Amzn-ErrorType"), w.Body, status, says)
		}
	}
	known := func(id, want string) {
		t.Helper()
		if thing, err := s.ThingOfCertificate(t.Context(), id); err != nil || thing != want {
			t.Errorf("certificate %.8s is of %q, %v, want %q", id, thing, err, want)
		}
	}
	soon := time.Now().Add(time.Hour)
	first, firstID := newCertificate(t, soon)
	second, secondID := newCertificate(t, soon)
	known(firstID, "")
	register("core-1", first, 200, `"certificateId":"`+firstID+`"`)
	register("core-1", first, 200, firstID) // again
	register("core-2", first, 409, "ResourceAlreadyExistsException")
	register("core-1", second, 200, secondID)
	known(firstID, "core-1")
	known(secondID, "core-1")
	if state, found, err := s.Thing(t.Context(), "core-1"); err != nil || !found || !state.Registered {
		t.Errorf("thing: %+v, %t, %v", state, found, err)
	}
	if _, found, err := s.Thing(t.Context(), "core-2"); err != nil || found {
		t.Errorf("core-2 was created for nothing: %v", err)
	}
	third, thirdID := newCertificate(t, soon)
	register("core-1", third, 200, thirdID)
	fourth, _ := newCertificate(t, soon)
	register("core-1", fourth, 200, "core-1")
	fifth, fifthID := newCertificate(t, soon)
	register("core-1", fifth, 410, "LimitExceededException")
	if w := send(t, handler, "DELETE", "/things/core-2/certificates/"+thirdID, nil, ""); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	known(thirdID, "core-1") // it is not core-2's
	if w := send(t, handler, "DELETE", "/things/core-1/certificates/"+thirdID, nil, ""); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	known(thirdID, "")
	register("core-1", fifth, 200, fifthID)
	w := send(t, handler, "GET", "/things/core-1/certificates", nil, "")
	if !strings.Contains(w.Body.String(), firstID) || strings.Contains(w.Body.String(), thirdID) {
		t.Errorf("list: %d %s", w.Code, w.Body)
	}

	if w := send(t, handler, "DELETE", "/things/core-1", nil, ""); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	known(firstID, "")
	known(fifthID, "")
	register("core-2", first, 200, firstID)
	known(firstID, "core-2")

	old, _ := newCertificate(t, time.Now().Add(-time.Minute))
	register("core-3", old, 400, "expired")
	register("core-3", first+second, 400, "more than one block")
	register("core-3", strings.ReplaceAll(second, "CERTIFICATE", "PRIVATE KEY"), 400, "want CERTIFICATE")
	register("core-3", "no certificate", 400, "not PEM")
	register("core-3", "", 400, "not PEM")
	register("core-3", first[:100]+"\n-----END CERTIFICATE-----\n", 400, "InvalidRequestException")
	register("core-3", strings.Repeat(" ", 1<<17), 400, "want at most 65536")
	register("no+name", second, 400, "InvalidRequestException")
	if w := send(t, handler, "POST", "/things/core-3/certificates", jsonBody, "{}"); w.Code != 400 || !strings.Contains(w.Body.String(), "certificatePem") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := send(t, handler, "DELETE", "/things/core-1/certificates/xyz", nil, ""); w.Code != 400 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
