package greengrass

import "fmt"

// Nucleus is an implementation of the Greengrass nucleus.
type Nucleus int

const (
	Unknown Nucleus = iota
	Java
	Lite
)

func (n Nucleus) String() string {
	switch n {
	case Unknown:
		return "unknown nucleus"
	case Java:
		return "Java nucleus"
	case Lite:
		return "nucleus lite"
	}
	return fmt.Sprintf("nucleus %d", int(n))
}
