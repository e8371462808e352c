package metrics

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/device-defender/device-defender/internal/hostproc/hostproctest"
)

func TestMain(m *testing.M) {
	hostproctest.Helper()
	goleak.VerifyTestMain(m)
}
