package agent

// lasting remembers conditions that last, so that each is logged when it
// begins, changes or ends, not at every report.
type lasting map[string]string

// changed reports whether what is to be said of a subject is news. An empty
// text says that there is nothing.
func (l lasting) changed(subject, text string) bool {
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
