package demo

import (
	"embed"
	"io/fs"
	"os"
	"path/filepath"
)

// Files of the story, as [WriteFiles] names them.
const (
	TutorialProfile  = "tutorial.json"   // the widely copied profile, inverted
	CorrectedProfile = "corrected.json"  // what it meant to say
	QuarantineAction = "quarantine.json" // adds things to the group quarantine
)

//go:embed files/*.json
var files embed.FS

// WriteFiles writes the story's files to the folder.
func WriteFiles(folder string) error {
	tree, err := fs.Sub(files, "files")
	if err != nil {
		return err
	}
	names, err := fs.Glob(tree, "*")
	if err != nil {
		return err
	}
	for _, name := range names {
		data, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}
