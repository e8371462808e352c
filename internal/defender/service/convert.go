package service

import "log/slog"

const (
	oldFile   = "defender.db"
	newFolder = storeFolder + ".new"
)

func convertOld(data string, log *slog.Logger) error { return nil }
