package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// stateFolder is where the system puts the state of a user's programs: by the XDG
// Base Directory Specification, if its variable is set or nothing else is usual.
func stateFolder() (string, error) {
	if base := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(base) {
		return filepath.Join(base, "defenderctl"), nil
	}
	base, err := systemFolder(runtime.GOOS)
	if err != nil {
		return "", fmt.Errorf("no folder for the database, give one by --data: %w", err)
	}
	return filepath.Join(base, "defenderctl"), nil
}

func systemFolder(system string) (string, error) {
	switch system {
	case "windows":
		return os.UserCacheDir() // %LocalAppData%, which does not roam
	case "darwin":
		return os.UserConfigDir() // ~/Library/Application Support
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".local", "state"), err
}

// stateFolderWords says for help which folder that is.
func stateFolderWords() string {
	switch runtime.GOOS {
	case "windows":
		return `%LocalAppData%\defenderctl`
	case "darwin":
		return "~/Library/Application Support/defenderctl"
	}
	return "$XDG_STATE_HOME/defenderctl, else ~/.local/state/defenderctl"
}
