package hostproc

import "fmt"

// RowsError says that some rows of a table, or of the two of a protocol, could
// not be parsed. All other rows were: what they say is true, but it is not all.
// So what was read must not be taken for the whole; in particular, if nothing
// was read, the table is not empty but unknown.
type RowsError struct {
	Bad, Rows int   // how many rows are malformed, of how many
	First     error // the first of them, with its line
}

func (e *RowsError) Error() string {
	return fmt.Sprintf("%d of %d rows are malformed: %v", e.Bad, e.Rows, e.First)
}

func (e *RowsError) Unwrap() error { return e.First }

// add counts a row; fault is why it is malformed, nil if it is not. What the row
// holds is not said, as errors are logged.
func (e *RowsError) add(line, length int, fault error) {
	e.Rows++
	if fault == nil {
		return
	}
	if e.Bad++; e.First == nil {
		e.First = fmt.Errorf("line %d of %d bytes: %w", line, length, fault)
	}
}

// orNil returns e as an error if there was a malformed row.
func (e *RowsError) orNil() error {
	if e.Bad == 0 {
		return nil
	}
	return e
}
