// Package uri parts the URI of a pull or push as routers do.
package uri

import (
	"net/url"
	"strings"
)

// Split returns the path of a URI, as a router matches it, which is decoded, and the
// query, which is not. A router refuses a URI for which there is an error.
//
// What begins with "/" is a path: also "//a/b", where url.Parse sees a host. Otherwise a
// filter in front that looks at the path would see another one than the router.
func Split(uri string) (path, query string, err error) {
	path, query, _ = strings.Cut(uri, "?")
	switch {
	case IsPlain(path):
		return path, query, nil
	case strings.HasPrefix(path, "/"):
		path, _, fragment := strings.Cut(path, "#")
		if fragment {
			query = ""
		}
		if path, err = url.PathUnescape(path); err != nil {
			return "", "", err
		}
		return path, query, nil
	}
	u, err := url.Parse(uri)
	if err != nil {
		return "", "", err
	}
	return u.Path, u.RawQuery, nil
}

// IsPlain reports whether a URI is its path, as it stands there.
func IsPlain(uri string) bool {
	return strings.HasPrefix(uri, "/") && !strings.ContainsAny(uri, "?%#")
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
