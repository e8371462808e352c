package service

import (
	"strconv"
	"time"

	"golang.org/x/sys/windows"
	winregistry "golang.org/x/sys/windows/registry"
)

// bootID tells one boot of the machine from another; "" when that is not known.
// Windows counts its boots.
func bootID() string {
	const path = `SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management\PrefetchParameters`
	key, err := winregistry.OpenKey(winregistry.LOCAL_MACHINE, path, winregistry.QUERY_VALUE)
	if err != nil {
		return ""
	}
	defer key.Close()
	n, _, err := key.GetIntegerValue("BootId")
	if err != nil {
		return ""
	}
	return strconv.FormatUint(n, 10)
}

// sinceBoot is the time since then, with that of sleep.
func sinceBoot() time.Duration { return windows.DurationSinceBoot() }
