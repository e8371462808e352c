package web

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/defender/finding"
	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/explore"
	"github.com/device-defender/device-defender/internal/render"
)

// What an overview has at most.
const (
	overviewThings  = 100
	overviewReports = 10
	overviewHistory = 24 * time.Hour
)

// overview is the first page.
func overview(ctx context.Context, r *request) (writePage, error) {
	violations, err := r.client.History(ctx, cloud.ViolationFilter{}, r.now.Add(-overviewHistory), r.now)
	if err != nil {
		return nil, err
	}
	inAlarm := func(of func(*finding.Violation) string) map[string]int {
		count := map[string]int{}
		for i := range violations {
			if violations[i].Active {
				count[of(&violations[i])]++
			}
		}
		return count
	}
	page := render.Overview{
		About: r.about, Violations: explore.Violations(violations), Reports: reportRows(r.service.Reports("", overviewReports)),
	}
	page.Silent = map[string]bool{}
	if page.Things, page.MoreThings, err = thingRows(ctx, r.service, inAlarm(func(v *finding.Violation) string { return v.Thing }), page.Silent); err != nil {
		return nil, err
	}
	if page.Notices, err = r.service.Notices(ctx); err != nil {
		return nil, err
	}
	profiles, err := r.client.Profiles(ctx, nil)
	if err != nil {
		return nil, err
	}
	active := inAlarm(func(v *finding.Violation) string { return v.Profile })
	for i := range profiles {
		page.Profiles = append(page.Profiles, profileRow(&profiles[i], active[profiles[i].Name]))
	}
	return func(w *bytes.Buffer) error { return render.WriteOverviewHTML(w, page) }, nil
}

// thingRows are the things in alarm, and then those that reported last, at most
// overviewThings. more is how many there are besides. Those that are silent are added to silent.
func thingRows(ctx context.Context, s *service.Service, inAlarm map[string]int, silent map[string]bool) (rows []render.ThingRow, more int, err error) {
	things, total, err := s.Things(ctx, overviewThings)
	if err != nil {
		return nil, 0, err
	}
	listed := map[string]bool{}
	for _, t := range things {
		listed[t.Name] = true
	}
	for name := range inAlarm {
		if listed[name] {
			continue
		}
		t, ok, err := s.Thing(ctx, name)
		if err != nil {
			return nil, 0, err
		}
		if ok {
			things = append(things, t)
		}
	}
	for _, t := range things {
		rows = append(rows, thingRow(t, inAlarm[t.Name]))
		if t.Silent {
			silent[t.Name] = true
		}
	}
	slices.SortFunc(rows, func(a, b render.ThingRow) int {
		return cmp.Or(cmp.Compare(min(b.Active, 1), min(a.Active, 1)), b.LastReport.Compare(a.LastReport), cmp.Compare(a.Name, b.Name))
	})
	rows = rows[:min(len(rows), overviewThings)]
	return rows, max(0, total-len(rows)), nil
}

func thingRow(t service.ThingState, active int) render.ThingRow {
	return render.ThingRow{Name: t.Name, Registered: t.Registered, Groups: t.Groups, LastReport: t.LastReport, Active: active}
}

func profileRow(p *cloud.AccountProfile, active int) render.ProfileRow {
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
