package httproto

import (
	"encoding/json"
	"fmt"
	"mime"
	"slices"
	"strconv"
	"strings"

	"github.com/henrylee2cn/teleport/codec"
)

// mediaTypes are the Content-Types of codecs, by the codec's name. What is first for a
// codec is what is written. A codec that is not registered here is none.
var mediaTypes = []struct{ media, codec string }{
	{"application/json", "json"},
	{"text/json", "json"},
	{"application/x-protobuf", "protobuf"},
	{"application/protobuf", "protobuf"},
	{"text/plain; charset=utf-8", "string"},
	{formMedia, "form"},
	{"application/xml", "xml"},
	{"text/xml", "xml"},
	{"application/msgpack", "msgpack"},
	{"application/x-msgpack", "msgpack"},
	{"application/vnd.msgpack", "msgpack"},
	{"application/vnd.apache.thrift.binary", "thrift"},
	{"application/x-thrift", "thrift"},
	{"text/plain; charset=utf-8", "plain"},
}

const (
	// formMedia is what curl -d says of everything.
	formMedia = "application/x-www-form-urlencoded"
	// codecMedia, with the id of a codec, is that of codecs which HTTP does not know.
	codecMedia = "application/vnd.teleport"
)

// mediaOf returns the Content-Type of a codec.
func mediaOf(id byte) string {
	if id == codec.ID_JSON {
		return mediaTypes[0].media
	}
	if c, err := codec.Get(id); err == nil {
		for _, m := range mediaTypes {
			if m.codec == c.Name() {
				return m.media
			}
		}
	}
	return fmt.Sprintf("%s; codec=%d", codecMedia, id)
}

// codecOf returns the codec of a body with a Content-Type. The second is false if there is
// none. A body that says to be a form and is JSON is JSON.
func codecOf(contentType string, body []byte) (id byte, known bool) {
	if contentType == "" || contentType == mediaTypes[0].media {
		return codec.ID_JSON, true
	}
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return codec.NilCodecId, false
	}
	switch {
	case media == codecMedia:
		if id, err := strconv.ParseUint(params["codec"], 10, 8); err == nil {
			return byte(id), true
		}
		return codec.NilCodecId, false
	case media == formMedia && json.Valid(body), strings.HasSuffix(media, "+json"):
		return codec.ID_JSON, true
	}
	for _, m := range mediaTypes {
		if name, _, _ := strings.Cut(m.media, ";"); name == media {
			if c, err := codec.GetByName(m.codec); err == nil {
				return c.Id(), true
			}
		}
	}
	if strings.HasPrefix(media, "text/") {
		return codec.ID_STRING, true
	}
	return codec.NilCodecId, false
}

const (
	gzipID = 'g'
	// filterCoding, with the id of a transfer filter, is the coding of those which
	// HTTP does not know.
	filterCoding = "x-tp-"
)

// codingsOf returns the Content-Encoding of transfer filters, whose ids are outermost first
// and whose codings are in the order in which they were applied.
func codingsOf(ids []byte) string {
	var codings []string
	for _, id := range slices.Backward(ids) {
		if id == gzipID {
			codings = append(codings, "gzip")
		} else {
			codings = append(codings, filterCoding+strconv.Itoa(int(id)))
		}
	}
	return strings.Join(codings, ", ")
}

// filtersOf is the reverse of codingsOf.
func filtersOf(codings []string) (ids []byte, err error) {
	for _, coding := range slices.Backward(codings) {
		switch coding = strings.ToLower(coding); coding {
		case "identity":
			continue
		case "gzip", "x-gzip":
			ids = append(ids, gzipID)
			continue
		}
		number, ok := strings.CutPrefix(coding, filterCoding)
		id, err := strconv.ParseUint(number, 10, 8)
		if !ok || err != nil {
			return nil, &refusal{status: 415, detail: fmt.Sprintf("the Content-Encoding %.32q", coding)}
		}
		ids = append(ids, byte(id))
	}
	return ids, nil
}
