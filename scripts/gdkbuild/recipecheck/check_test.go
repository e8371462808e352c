package recipecheck

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// projects are the recipes of this repository, with their names.
var projects = map[string]string{
	"../../../recipe.yaml":                   "community.greengrass.DeviceDefender",
	"../../../recipes/container/recipe.yaml": "community.greengrass.DeviceDefender.Container",
}

// recipe returns a recipe with name and version filled in, as the build does.
func recipe(t testing.TB, file, name string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer("COMPONENT_NAME", name, "COMPONENT_VERSION", "0.1.0").Replace(string(text))
}

func TestOwnRecipes(t *testing.T) {
	for file, name := range projects {
		r, err := Check([]byte(recipe(t, file, name)))
		if err != nil {
			t.Errorf("%s:\n%v", file, err)
		}
		if r.Name != name || r.Version != "0.1.0" || len(r.Artifacts) != 3 {
			t.Errorf("%s: %+v", file, r)
		}
	}
	// The GDK looks for one recipe beside gdk-config.json.
	for _, folder := range []string{"../../..", "../../../recipes/container"} {
		if found, err := filepath.Glob(folder + "/recipe.*"); err != nil || len(found) != 1 {
			t.Errorf("recipes in %s: %v, %v; want one", folder, found, err)
		}
	}
	if target, err := os.Readlink("../../../recipe.yaml"); err != nil || target != "recipes/recipe.yaml" {
		t.Errorf("recipe.yaml at the top links to %q, %v", target, err)
	}
}

func TestFaults(t *testing.T) {
	sound := recipe(t, "../../../recipe.yaml", "community.greengrass.DeviceDefender")
	const amd64 = "exec {artifacts:decompressedPath}/device-defender-linux-amd64/device-defender"
	tests := []struct{ old, new, want string }{
		{`"2020-01-25"`, `2020-01-25`, "is not a string, quote it"},
		{`"2020-01-25"`, `"2021-01-25"`, `RecipeFormatVersion: "2021-01-25", want "2020-01-25"`},
		{`ComponentVersion: "0.1.0"`, `ComponentVersion: "NEXT_PATCH"`, `ComponentVersion: "NEXT_PATCH"`},
		{`ComponentName: community.greengrass.DeviceDefender`, `ComponentName: a b`, `ComponentName: "a b"`},
		{`ComponentName:`, `componentName:`, "key componentName, want ComponentName"},
		{`Uri:`, `URI:`, "key URI, want Uri: nucleus lite knows no other case"},
		{`Unarchive: ZIP`, `unarchive: ZIP`, "key unarchive, want Unarchive"},
		{`Unarchive: ZIP`, `Unarchive: zip`, "Unarchive: zip, want ZIP or NONE"},
		{`Permission:`, `Permissions:`, "key Permissions, want one of Uri, Unarchive, Permission"},
		{`Execute: OWNER`, `Execute: Owner`, "Permission: Owner, want NONE, OWNER or ALL"},
		{`run:`, `Run:`, "key Run, want run"},
		{`Script: ` + amd64, `script: ` + amd64, "key script, want Script"},
		{`, runtime: "*"`, ``, "runtime is missing"},
		{`runtime: "*"`, `runtime: aws_nucleus_lite`, `want "*"`},
		{`os: linux`, `os: all`, "os: all, want linux"},
		{`architecture: aarch64`, `architecture: arm64`, "architecture: arm64, want one of amd64, aarch64, arm"},
		{`architecture: aarch64`, `architecture: amd64`, "architecture amd64 again"},
		{`device-defender-linux-arm64.zip`, `device-defender-linux-amd64.zip`, "artifact device-defender-linux-amd64.zip twice"},
		{`0.1.0/device-defender-linux-arm64.zip`, `0.1.0/arm64/device-defender.zip`, "want s3://BUCKET_NAME/community.greengrass.DeviceDefender/0.1.0/device-defender.zip"},
		{`device-defender-linux-amd64/device-defender`, `device-defender-linux-x86_64/device-defender`, "{artifacts:decompressedPath}/device-defender-linux-x86_64/device-defender is no artifact of this manifest, want {artifacts:decompressedPath}/device-defender-linux-amd64/device-defender"},
		{`device-defender-linux-amd64/device-defender`, `device-defender-linux-amd64/device-defend`, "device-defend is no artifact of this manifest"},
		{`{artifacts:decompressedPath}/device-defender-linux-amd64`, `{artifacts:decompressedPath}device-defender-linux-amd64`, "no artifact of this manifest"},
		{amd64, "exec device-defender", "no script uses artifact device-defender-linux-amd64.zip"},
		{`        Unarchive: ZIP
`, ``, "no artifact of this manifest, want {artifacts:path}/device-defender-linux-amd64.zip"},
		{`, Execute: OWNER`, ``, "Execute is missing"},
		{`Execute: OWNER`, `Execute: NONE`, "Execute is missing"},
		{amd64, `exec {artifacts:path}/device-defender-linux-amd64/device-defender`, "{artifacts:path}/device-defender-linux-amd64/device-defender is no artifact"},
		{amd64, strings.Replace(amd64, "exec", "nice", 1), "want exec"},
		{amd64, amd64 + " ${HOME}", "{HOME} is no recipe variable"},
		{amd64, amd64 + " {configuration:/ProcPath}", "configuration in a script"},
		{amd64, amd64 + " COMPONENT_NAME", "placeholder COMPONENT_NAME is left over"},
		{"Publish Device Defender reports.", "Publish to BUCKET_NAME", "placeholder BUCKET_NAME is left over"},
		{"        Script: " + amd64, "        RequiresPrivilege: true\n        Script: " + amd64, "the component needs no root"},
		{"        Script: " + amd64, "        Setenv: {A: 1}\n        Script: " + amd64, "Setenv: 1 is not a string"},
		{"        Script: " + amd64, "        Setenv: {A-B: x}\n        Script: " + amd64, "Setenv: A-B is no name of a variable"},
		{"Manifests:", "ComponentDependencies: {}\nManifests:", "key ComponentDependencies, want one of"},
		{"    SampleIntervalSeconds: 300\n", "", "SampleIntervalSeconds is missing"},
		{"SampleIntervalSeconds: 300", "SampleIntervalSeconds: 30", "SampleIntervalSeconds: 30, want 300 to 86400 seconds"},
		{"MaxListItems:", "MaxListItem:", "key without effect MaxListItem: did you mean MaxListItems?"},
		{"LogLevel: info", "LogLevel: info\n    UseInstaller: false", "UseInstaller is no key of the component"},
		{"metrics/json\n", "metrics/*\n", "mixes * with +"},
		{"metrics/json\n", "metrics/xml\n", "$aws/things/+/defender/metrics/json is not allowed"},
		{"metrics/cbor/rejected", "shadow", "resource $aws/things/+/defender/shadow is not used"},
		{"mqttproxy:2", "mqttproxy:1", "already defined"},
		{"aws.greengrass.ipc.mqttproxy:", "aws.greengrass.ipc.pubsub:", "aws.greengrass.ipc.mqttproxy is missing"},
		{"operations: [\"aws.greengrass#PublishToIoTCore\"]", "operations: [\"*\"]", "operation * is not used"},
		{`"community.greengrass.DeviceDefender:mqttproxy:2"`, `"other:mqttproxy:2"`, "policy other:mqttproxy:2, want"},
		{"Reports device metrics", strings.Repeat("x", 16_000), "Greengrass takes 16000"},
		{"Manifests:", "Manifests: [", "yaml:"},
	}
	for _, test := range tests {
		if !strings.Contains(sound, test.old) {
			t.Fatalf("the recipe has no %q", test.old)
		}
		_, err := Check([]byte(strings.Replace(sound, test.old, test.new, 1)))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q for %q:\n%v\nwant %q", test.new, test.old, err, test.want)
		}
	}
}

func TestCheckArtifacts(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "a.zip"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := CheckArtifacts(Recipe{Artifacts: []string{"a.zip"}}, folder); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "b.zip"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(folder, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	err := CheckArtifacts(Recipe{Artifacts: []string{"a.zip", "c.zip"}}, folder)
	want := folder + "/b.zip: built, and not in the recipe\n" + folder + "/sub: a folder, the GDK fails on it\nc.zip: in the recipe, and not built"
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}

func FuzzCheck(f *testing.F) {
	for file, name := range projects {
		f.Add([]byte(recipe(f, file, name)))
	}
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("Manifests: [null, {Artifacts: [1]}]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		Check(text)
	})
}
