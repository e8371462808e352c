// Package sigv4 verifies the signatures of requests to APIs of AWS, version 4, as
// AWS's clients make them: in the header Authorization, or in the query of a
// presigned URL.
//
// A request is verified in steps, of which the caller does those that need more
// than the request: [Parse] reads what it says of its signature,
// [Signature.CheckTime] and [Signature.CheckScope] whether it is for now and for
// here, and [Signature.Verify] computes it once more with the secret.
//
// The canonical request is made of what handlers read, not of bytes that they
// would read in another way: the path as it was sent, parameters as url.ParseQuery
// has them, the body itself. What a client says of the body's hash is not
// believed.
//
// Unlike AWS, it takes no temporary credentials, no signatures of chunks and no
// asymmetric ones (version 4a).
package sigv4
