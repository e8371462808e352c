package store

import "iter"

// Rows yields the rows of all tables as they are stored, for a copy of the store.
// A row's value is valid until the next row. It is for a View: writes of a
// transaction are not among them.
func (r *Reader) Rows() iter.Seq2[Row, error] { return r.txn.Rows(r.ctx) }

// PutRow puts a row of a copy. The value is not kept longer than the transaction.
func (tx *Tx) PutRow(row Row) error { return tx.write(Write{Address: row.Address, Value: row.Value}) }
