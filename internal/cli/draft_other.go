//go:build !linux

package cli

import (
	"errors"
	"os"
)

func openUnnamed(string) *os.File { return nil }

func linkUnnamed(*os.File, string) (string, error) { return "", errors.ErrUnsupported }
