// Takes the place of gitleaks' cmd/generate/config/utils/validate.go: what its rules' own tests hold is written
// to files instead of being checked, so that no file of ours need hold a secret.
//
// Below $SAMPLES: "<rule>/yes-<n>.txt" must be found, "<rule>/no-<n>.txt" need not; a sample with a path of its own
// is "<rule>/yes-<n>/<path>".
package utils

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/zricethezav/gitleaks/v8/config"
)

func write(path, text string) {
	path = filepath.Join(os.Getenv("SAMPLES"), path)
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = os.WriteFile(path, []byte(text), 0o600)
	}
	if err != nil {
		panic(err)
	}
}

// Validate is called by each rule that looks at content.
func Validate(rule config.Rule, truePositives []string, falsePositives []string) *config.Rule {
	for i, text := range truePositives {
		write(fmt.Sprintf("%s/yes-%d.txt", rule.RuleID, i), text)
	}
	for i, text := range falsePositives {
		write(fmt.Sprintf("%s/no-%d.txt", rule.RuleID, i), text)
	}
	return &rule
}

// ValidateWithPaths is called by each rule that looks at the path, too.
func ValidateWithPaths(rule config.Rule, truePositives map[string]string, falsePositives map[string]string) *config.Rule {
	for i, path := range slices.Sorted(maps.Keys(truePositives)) {
		write(fmt.Sprintf("%s/yes-%d/%s", rule.RuleID, i, path), truePositives[path])
	}
	for i, path := range slices.Sorted(maps.Keys(falsePositives)) {
		write(fmt.Sprintf("%s/no-%d/%s", rule.RuleID, i, path), falsePositives[path])
	}
	return &rule
}
