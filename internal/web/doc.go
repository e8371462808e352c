// Package web serves what package render shows as the live pages of a running
// service: an overview, and a page for each thing, metric, profile and
// violation.
//
// A page asks the service in this process, and reads the first of what there is
// much of. What a violation's page shows is put together by package cloud, from
// the service as from AWS, so that it is the page that 'defenderctl violation
// show --html' writes. The pages are read-only: there is nothing that a request
// could change but who is logged in.
//
// Where callers are authenticated there is a login, by an access key or at an OpenID
// provider. The service asks for it before it asks the pages, and keeps the sessions;
// here are the forms. They work without scripts. After the login a reader comes to
// the page that was asked for, which can only be one of these.
//
// A page listens to an event stream, whose messages say that something
// changed and no more, and then reads itself again. So there is one way in
// which a page is made, and a reader without scripts has the same page and
// reloads it.
//
// Names and values are from devices, and a thing may be called anything. All
// escaping is package render's; what a page is about comes in the query, as no
// path can hold a thing called "..". The service's guard stands before the
// pages as before the API: loopback names only, and no page of another origin.
package web
