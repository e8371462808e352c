package awsrest

import (
	"crypto/rand"
	"fmt"
	"strconv"
	"time"
)

// Epoch is a time as APIs write it in bodies: seconds since 1970 with milliseconds
// as a fraction.
type Epoch time.Time

func (e Epoch) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(time.Time(e).UnixMilli())/1000, 'f', -1, 64), nil
}

// maxEpoch is the last second that RFC 3339 can write.
const maxEpoch = 253402300799

func (e *Epoch) UnmarshalJSON(data []byte) error {
	seconds, err := strconv.ParseFloat(string(data), 64)
	if err != nil || seconds < -maxEpoch || seconds > maxEpoch {
		return fmt.Errorf("%s is not a time in seconds since 1970", Clip(string(data)))
	}
	*e = Epoch(time.UnixMilli(int64(seconds * 1000)).UTC())
	return nil
}

// NewID returns a random UUID.
func NewID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40 // version 4
	b[8] = b[8]&0x3f | 0x80 // variant of RFC 9562
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
