// Package awsrest serves APIs that AWS's clients call by REST-JSON, such as that
// of AWS IoT: the AWS CLI and SDKs take them for AWS.
//
// # Model
//
// An [API] is a table of operations. A row, an [Operation], says what a call looks
// like: method, path, query parameters, whether there is a body, how large pages
// are, how often it may be called, which [Access] it needs. Its handler gets a
// [Request] that fits the row, and returns what is answered as JSON, or an error.
// An [Error] is answered as it is; any other is a failure of ours, which is logged,
// and of which the caller learns nothing but that.
//
// A call passes, in this order:
//
//  1. the guard: the caller is no page of another origin
//  2. the table: there is such an operation
//  3. its body, which has to come at a least rate
//  4. Authorize, by the caller, the operation's access and the body
//  5. there is a body only where there may be one, and of a type that is taken
//  6. the quota of calls, if callers are held to it
//  7. its query parameters, which are those of the row
//  8. what its path has in place of members
//  9. the handler
//
// What a call has and the operation does not is refused, not ignored: unknown
// members and parameters, any that are given twice, a body that the operation does not have. A
// typing error would be without effect, unnoticed.
//
// # Pages
//
// An operation with MaxResults lists its items in pages: it takes maxResults and
// nextToken, and its handler answers with [List]. Items have keys, which are in the
// order of the list. A token has the key that the last page ended with, so no item
// is left out or comes twice when others are created or deleted between two pages.
// A checksum ties it to the operation, its path and its other parameters. Tokens
// do not expire.
//
// # Callers
//
// Who may do what is decided by Authorize. With [Everybody], whoever can connect
// can do everything. Therefore [Listen] and [API.Serve] take only loopback
// addresses then; any other needs an Authorize that knows its callers, and TLS.
//
// What runs on the same machine has the same rights as its user, mostly; a web page
// in a browser there must have none. So a request has to name the service by a
// loopback name or address and its port, or by a name of the certificate (against
// DNS rebinding), must not come from a page of another origin (by Origin and
// Sec-Fetch-Site, against cross-site request forgery) unless it follows a link to a
// page where callers are authenticated, and a body has to be of a
// type that pages can't send to other origins unasked; headers that would let them
// (CORS) are never sent. The Authorization header is not logged.
//
// # Bounds
//
// Bodies are at most 1 MB, headers 16 KB, connections 256, JSON 32 deep. One more
// connection takes the place of the one that has been idle for longest, or whose
// body has been on its way for longest. A body has five seconds, and more as it
// comes, at 16 KB a second.
package awsrest
