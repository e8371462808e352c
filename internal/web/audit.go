package web

import (
	"bytes"
	"context"
	"errors"

	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/render"
)

// mostAudit is how many entries of the audit log a page has.
const mostAudit = 200

// errNotAllowed says that a page is not for the visitor's role.
var errNotAllowed = errors.New("only administrators may see this page")

// mayAudit reports whether a reader may see the audit log: an administrator, or
// anybody where there is no authentication.
func mayAudit(ctx context.Context) bool {
	v := service.VisitorOf(ctx)
	return v == nil || v.MayAudit()
}

// audit is the page of the audit log.
func audit(ctx context.Context, r *request) (writePage, error) {
	if !mayAudit(ctx) {
		return nil, errNotAllowed
	}
	page := render.AuditPage{About: r.about, User: r.query("user"), Operation: r.query("operation")}
	list, more, err := r.service.AuditEvents(ctx, service.AuditFilter{User: page.User, Operation: page.Operation}, mostAudit)
	if err != nil {
		return nil, err
	}
	page.More = more
	for _, e := range list {
		e.Time = e.Time.In(r.now.Location())
		page.Events = append(page.Events, render.AuditEvent(e))
	}
	return func(w *bytes.Buffer) error { return render.WriteAuditHTML(w, page) }, nil
}
