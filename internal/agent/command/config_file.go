package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxConfigSize bounds a configuration file, in bytes. A deployment document
// has at most 256 KB.
const maxConfigSize = 1 << 20

// componentName is the prefix of the names of this component and its variants.
const componentName = "community.greengrass.DeviceDefender"

// readConfigFile reads the configuration that a deployment would merge: as the
// object itself, or in a deployment document.
func readConfigFile(name string) (map[string]any, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := parseConfig(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return raw, nil
}

func parseConfig(r io.Reader) (map[string]any, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxConfigSize+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxConfigSize {
		return nil, fmt.Errorf("more than %d bytes", maxConfigSize)
	}
	document, err := parseObject(text)
	if err != nil {
		return nil, err
	}
	components, ok := document["components"].(map[string]any)
	if !ok {
		return document, nil
	}
	return mergeOf(components)
}

// mergeOf returns what a deployment document merges into the configuration of
// this component.
func mergeOf(components map[string]any) (map[string]any, error) {
	for name, c := range components {
		if !strings.HasPrefix(name, componentName) {
			continue
		}
		component, _ := c.(map[string]any)
		update, _ := component["configurationUpdate"].(map[string]any)
		switch merge := update["merge"].(type) {
		case nil:
			return map[string]any{}, nil
		case map[string]any:
			return merge, nil
		case string:
			object, err := parseObject([]byte(merge))
			if err != nil {
				return nil, fmt.Errorf("%s, merge: %w", name, err)
			}
			return object, nil
		}
		return nil, errors.New(name + ", merge: want a JSON object or its text")
	}
	return nil, fmt.Errorf("the deployment has no component %s", componentName)
}

func parseObject(text []byte) (object map[string]any, err error) {
	if err := json.Unmarshal(text, &object); err != nil {
		return nil, fmt.Errorf("want a JSON object: %w", err)
	}
	if object == nil {
		return nil, errors.New("want a JSON object, not null")
	}
	return object, nil
}
