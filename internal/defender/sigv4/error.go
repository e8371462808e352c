package sigv4

// Error says why a signature is refused, with the code that AWS IoT answers.
type Error struct {
	Code    string
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Codes of errors.
const (
	Missing      = "MissingAuthenticationTokenException"
	Incomplete   = "IncompleteSignatureException"
	Unrecognized = "UnrecognizedClientException"
	Invalid      = "InvalidSignatureException"
)

// Messages of AWS.
const (
	missingText      = "Missing Authentication Token"
	unrecognizedText = "The security token included in the request is invalid."
	mismatchText     = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
)

// UnknownKey is the error of an access key that there is not.
func UnknownKey() error { return &Error{Unrecognized, unrecognizedText} }

func incomplete(message string) error { return &Error{Incomplete, message} }

func invalid(message string) error { return &Error{Invalid, message} }
