// Package recipes carries the component's recipe in the binaries that run the
// component without a deployment.
package recipes

import _ "embed"

// DeviceDefender is the recipe of the native component, as YAML.
//
//go:embed recipe.yaml
var DeviceDefender []byte
