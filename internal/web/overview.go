package web

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/device-defender/device-defender/internal/defender/finding"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/explore"
	"github.com/device-defender/device-defender/internal/render"
)

// mostViolations is how many violations a page lists.
const mostViolations = 100

// What an overview has at most.
const (
	overviewThings  = 100
	overviewReports = 10
	overviewHistory = 24 * time.Hour
)

// overview is the first page.
func overview(ctx context.Context, r *request) (writePage, error) {
	found, err := r.service.Findings(ctx, service.Scope{Since: r.now.Add(-overviewHistory)}, mostViolations)
	if err != nil {
		return nil, err
	}
	page := render.Overview{
		Audit: mayAudit(ctx), About: r.about, Violations: violationList(found), Reports: reportRows(r.service.Reports("", overviewReports)), Silent: map[string]bool{},
	}
	if page.Things, page.MoreThings, err = thingRows(ctx, r.service, found.List, page.Silent); err != nil {
		return nil, err
	}
	if page.Notices, err = r.service.Notices(ctx); err != nil {
		return nil, err
	}
	profiles, err := r.service.Profiles(ctx)
	if err != nil {
		return nil, err
	}
	for i := range profiles {
		page.Profiles = append(page.Profiles, profileRow(&profiles[i], found.ByProfile[profiles[i].Name]))
	}
	return func(w *bytes.Buffer) error { return render.WriteOverviewHTML(w, page) }, nil
}

// violationList are violations as a page lists them.
func violationList(found *service.Findings) render.ViolationList {
	return render.ViolationList{Rows: explore.Violations(found.List), Active: found.Active, More: found.More}
}

// thingRows are the things of the violations that are in alarm, and then those
// that reported last, at most overviewThings. more is how many there are besides.
// Those that are silent are added to silent.
func thingRows(ctx context.Context, s *service.Service, violations []finding.Violation, silent map[string]bool) (rows []render.ThingRow, more int, err error) {
	things, total, err := s.Things(ctx, overviewThings)
	if err != nil {
		return nil, 0, err
	}
	listed := map[string]bool{}
	for _, t := range things {
		listed[t.Name] = true
	}
	for _, v := range violations {
		if !v.Active || listed[v.Thing] {
			continue
		}
		listed[v.Thing] = true
		t, ok, err := s.Thing(ctx, v.Thing)
		if err != nil {
			return nil, 0, err
		}
		if ok {
			things = append(things, t)
		}
	}
	slices.SortFunc(things, func(a, b service.ThingState) int {
		return cmp.Or(cmp.Compare(min(b.Active, 1), min(a.Active, 1)), b.LastReport.Compare(a.LastReport), cmp.Compare(a.Name, b.Name))
	})
	for _, t := range things[:min(len(things), overviewThings)] {
		rows = append(rows, thingRow(t))
		if t.Silent {
			silent[t.Name] = true
		}
	}
	return rows, max(0, total-len(rows)), nil
}

func thingRow(t service.ThingState) render.ThingRow {
	return render.ThingRow{Name: t.Name, Registered: t.Registered, Groups: t.Groups, LastReport: t.LastReport, Active: t.Active}
}

func profileRow(p *profile.Profile, active int) render.ProfileRow {
	return render.ProfileRow{Name: p.Name, Description: p.Description, Behaviors: len(p.Behaviors), Targets: p.Targets, Active: active}
}

func reportRows(reports []service.TakenReport) []render.ReportRow {
	var rows []render.ReportRow
	for _, taken := range reports {
		row := render.ReportRow{Time: taken.Time, Thing: taken.Thing, Format: taken.Format.String(), Bytes: taken.Bytes}
		if taken.Reply.Status == report.Rejected {
			row.Rejected = taken.Reply.ErrorCode + ": " + taken.Reply.ErrorMessage
		} else {
			row.ID = strconv.FormatInt(taken.Reply.ReportID, 10)
		}
		rows = append(rows, row)
	}
	return rows
}
