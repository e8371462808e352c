package memdir

import (
	"os"
	"path/filepath"
	"testing"
)

func TestNew(t *testing.T) {
	var folder string
	t.Run("in a test", func(t *testing.T) {
		folder = New(t)
		if other := New(t); other == folder {
			t.Errorf("two folders are %s", folder)
		}
		if err := os.WriteFile(filepath.Join(folder, "file"), []byte("content"), 0o600); err != nil {
			t.Error(err)
		}
	})
	if _, err := os.Stat(folder); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", folder, err)
	}
}
