package agent

// lasting remembers conditions that last, so that each is logged when it
// begins, changes or ends, not at every report.
type lasting map[string]string

// changed reports whether what is to be said of a subject is news: a new or
// another error, or with nil its end.
func (l lasting) changed(subject string, err error) bool {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if l[subject] == text {
		return false
	}
	if text == "" {
		delete(l, subject)
	} else {
		l[subject] = text
	}
	return true
}

// others calls f for, and forgets, each subject that is not among those given.
func (l lasting) others(subjects map[string]bool, f func(subject string)) {
	for subject := range l {
		if !subjects[subject] {
			delete(l, subject)
			f(subject)
		}
	}
}
