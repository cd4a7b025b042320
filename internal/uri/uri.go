// Package uri parts the URI of a pull or push as routers do.
package uri

import (
	"net/url"
	"strings"
)

// Split returns the path of a URI, as a router matches it, which is decoded, and the
// query, which is not. It reports false if a router would refuse the URI.
func Split(uri string) (path, query string, ok bool) {
	path, query, _ = strings.Cut(uri, "?")
	if strings.HasPrefix(path, "/") && !strings.ContainsAny(path, "%#") {
		return path, query, true
	}
	u, err := url.Parse(uri)
	if err != nil {
		return "", "", false
	}
	return u.Path, u.RawQuery, true
}

// Join returns the URI that Split parts into path and query. A path that begins with
// "/" is required.
func Join(path, query string) string {
	if strings.ContainsAny(path, "?%#") {
		path = (&url.URL{Path: path}).EscapedPath()
	}
	if query == "" {
		return path
	}
	return path + "?" + query
}
