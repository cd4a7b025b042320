package tp

import (
	"fmt"
	"net/url"
	"strings"
)

// splitURI parts a URI into path and query. Only one that is not plain goes
// through url.Parse.
func splitURI(uri string) (path, query string, err error) {
	path, query, _ = strings.Cut(uri, "?")
	if isPlainPath(path) {
		return path, query, nil
	}
	u, err := url.Parse(uri)
	if err != nil {
		return "", "", err
	}
	return u.Path, u.RawQuery, nil
}

// isPlainPath reports whether a URI is its path, as it stands there.
func isPlainPath(path string) bool {
	return strings.HasPrefix(path, "/") && !strings.ContainsAny(path, "?%#")
}

// maxPrintedURI is how much of a URI the log shows: who sends one chooses its
// length.
const maxPrintedURI = 512

// clipURI returns a URI for the log.
func clipURI(uri string) string {
	if len(uri) <= maxPrintedURI {
		return uri
	}
	return fmt.Sprintf("%s... (%d bytes in all)", uri[:maxPrintedURI], len(uri))
}
