package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestStage(t *testing.T) {
	project, out := t.TempDir(), t.TempDir()
	for name, content := range map[string]string{
		"greengrass-build/recipes/recipe.yaml":                       "recipe",
		"greengrass-build/artifacts/com.example.A/1.2.3/a-amd64.zip": "zip",
	} {
		name = filepath.Join(project, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	other := filepath.Join(out, "artifacts/com.example.B/1.0.0/b.zip")
	stale := filepath.Join(out, "artifacts/com.example.A/1.2.3/a-arm.zip")
	for _, name := range []string{other, stale} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // a second time, too
		var stdout bytes.Buffer
		if err := stage(project, out, &stdout); err != nil {
			t.Fatal(err)
		}
		want := "Java nucleus:\n" +
			"  greengrass-cli deployment create --recipeDir " + out + "/recipes --artifactDir " + out + "/artifacts --merge com.example.A=1.2.3\n" +
			"Nucleus lite:\n" +
			"  ggl-cli deploy --recipe-dir " + out + "/recipes --artifacts-dir " + out + "/artifacts --add-component com.example.A=1.2.3\n"
		if stdout.String() != want {
			t.Errorf("printed:\n%s\nwant:\n%s", stdout.String(), want)
		}
		for name, want := range map[string]string{"recipes/com.example.A-1.2.3.yaml": "recipe", "artifacts/com.example.A/1.2.3/a-amd64.zip": "zip"} {
			if got, err := os.ReadFile(filepath.Join(out, name)); err != nil || string(got) != want {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		}
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("another component: %v", err)
	}
	if _, err := os.Stat(stale); !os.IsNotExist(err) {
		t.Errorf("a file of an earlier build: %v", err)
	}
}
