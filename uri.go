package tp

import "fmt"

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
