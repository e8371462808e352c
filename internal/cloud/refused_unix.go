//go:build unix

package cloud

import "golang.org/x/sys/unix"

// errRefused says that nobody listens at an address.
const errRefused = unix.ECONNREFUSED
