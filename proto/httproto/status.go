package httproto

import (
	"net/http"
	"strconv"
)

// Codes of package tp whose numbers are not the status that says the same in HTTP.
const (
	codeConnClosed     = 102
	codeWriteFailed    = 104
	codeDialFailed     = 105
	codeTimeout        = 408
	codeCanceled       = 499
	codeNotImplemented = 501
)

// statusOf returns the status of a response that is an error with the code.
func statusOf(code int32) int {
	switch code {
	case codeConnClosed, codeWriteFailed:
		return http.StatusServiceUnavailable
	case codeDialFailed:
		return http.StatusBadGateway
	case codeTimeout: // 408 asks a browser to send the request again
		return http.StatusGatewayTimeout
	}
	if code >= 400 && code <= 599 {
		return int(code)
	}
	return http.StatusInternalServerError
}

// appendStatusLine appends the first line of a response.
func appendStatusLine(b []byte, status int) []byte {
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	switch text := http.StatusText(status); {
	case text != "":
		b = append(b, text...)
	case status == codeCanceled:
		b = append(b, "Client Closed Request"...)
	default:
		b = append(b, "Error"...)
	}
	return append(b, "\r\n"...)
}
