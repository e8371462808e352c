// Package web serves what package render shows as the live pages of a running
// service: an overview, and a page for each thing, metric, profile and
// violation.
//
// What the AWS IoT API tells is read through it, from the service's own
// endpoint, so that a page is the one that 'defenderctl violation show --html'
// writes; the latest reports, and when a thing reported last, are known to the
// service alone. The pages are read-only: there is no form, and nothing that a
// request could change.
//
// A page listens to an event stream, whose messages say that something
// changed and no more, and then reads itself again. So there is one way in
// which a page is made, and a reader without scripts has the same page and
// reloads it.
//
// Names and values are from devices, and a thing may be called anything. All
// escaping is package render's; what a page is about comes in the query, as no
// path can hold a thing called "..". The service's guard stands before the
// pages as before the API: loopback names alone, and no page of another origin.
package web
