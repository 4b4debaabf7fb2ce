// Package words joins names. It is an example of a dependency that `go mod vendor` copies.
package words

import "strings"

// List joins names with commas and a last "and".
func List(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
