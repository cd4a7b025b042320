package tp

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// tlsFilesPause is how long what was read from TLS files counts as current.
const tlsFilesPause = time.Second

// tlsFiles is what the TLS files of a PeerConfig hold. A handshake reads them
// again when they were last read more than tlsFilesPause ago, so a certificate
// is renewed without a restart, and no goroutine or timer is needed for it.
// They are compared by content: a time of change may be too coarse to tell two
// writes apart, and copying tools may keep that of another file.
//
// Each setting goes on with its last good content while what is there now is
// bad: a root certificate that was taken out is out, even while the key of the
// certificate is being written.
type tlsFiles struct {
	log     func() Logger
	configs atomic.Pointer[tlsConfigs] // nil until every setting was good

	mu       sync.Mutex // held while the files are read; protects following
	settings []tlsSetting
	due      time.Time // to be read again
	// What the settings hold; nil where there is none.
	cert      *tls.Certificate
	clientCAs *x509.CertPool
	roots     *x509.CertPool
}

// tlsConfigs are made anew for each change and never changed afterwards.
type tlsConfigs struct {
	server *tls.Config // nil without a certificate
	client *tls.Config
}

// tlsSetting is a setting of PeerConfig, with the files that go together.
type tlsSetting struct {
	name string // with the names of the files, for messages
	// paths are the files, and seen what was in them: content, or an error.
	paths []string
	seen  []string
	// use takes the contents of the files, unless it returns an error.
	use func(contents [][]byte) error
	err error // why seen cannot be used
}

// newTLSFiles returns nil when cfg names no files. It reads none.
func newTLSFiles(cfg *PeerConfig, log func() Logger) *tlsFiles {
	f := &tlsFiles{log: log}
	if cfg.TlsCertFile != "" {
		f.settings = append(f.settings, tlsSetting{
			name:  fmt.Sprintf("PeerConfig.TlsCertFile %q, TlsKeyFile %q", cfg.TlsCertFile, cfg.TlsKeyFile),
			paths: []string{cfg.TlsCertFile, cfg.TlsKeyFile},
			use: func(contents [][]byte) error {
				cert, err := tls.X509KeyPair(contents[0], contents[1])
				if err == nil {
					f.cert = &cert
				}
				return err
			},
		})
	}
	f.addPool("TlsClientCaFile", cfg.TlsClientCaFile, &f.clientCAs)
	f.addPool("TlsRootCaFile", cfg.TlsRootCaFile, &f.roots)
	if len(f.settings) == 0 {
		return nil
	}
	return f
}

func (f *tlsFiles) addPool(field, path string, pool **x509.CertPool) {
	if path == "" {
		return
	}
	f.settings = append(f.settings, tlsSetting{
		name:  fmt.Sprintf("PeerConfig.%s %q", field, path),
		paths: []string{path},
		use: func(contents [][]byte) error {
			read, err := readPool(contents[0])
			if err == nil {
				*pool = read
			}
			return err
		},
	})
}

// forListener returns the configuration of a listener, nil if f is nil. A file
// that is bad now is an error.
func (f *tlsFiles) forListener() (*tls.Config, error) {
	if f == nil {
		return nil, nil
	}
	if err := f.readNow(); err != nil {
		return nil, err
	}
	if f.configs.Load().server == nil {
		return nil, errors.New("tp: cannot listen: PeerConfig.TlsRootCaFile is set and there is no certificate: set TlsCertFile and TlsKeyFile too, or listen in plain text with another peer")
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			configs, err := f.current()
			if err != nil {
				return nil, err
			}
			return configs.server, nil
		},
	}, nil
}

// forDial returns the configuration of a dial, nil if f is nil.
func (f *tlsFiles) forDial() (*tls.Config, error) {
	if f == nil {
		return nil, nil
	}
	configs, err := f.current()
	if err != nil {
		return nil, err
	}
	return configs.client, nil
}

// current returns the configurations for a handshake. It is an error only as
// long as there were none yet.
func (f *tlsFiles) current() (*tlsConfigs, error) {
	if f.configs.Load() == nil { // nothing to go on with
		if err := f.readNow(); err != nil {
			return nil, err
		}
		return f.configs.Load(), nil
	}
	// While one handshake reads, and perhaps hangs in a file system that does
	// not answer, or in a Logger that dials with this peer, the others go on.
	if f.mu.TryLock() {
		defer f.mu.Unlock()
		if time.Now().After(f.due) {
			_ = f.read() // logged
		}
	}
	return f.configs.Load(), nil
}

// readNow is read for who cannot do without.
func (f *tlsFiles) readNow() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.read()
}

// read looks at the files and takes over what has changed and is good. It
// returns an error when some are bad, and logs each change of what is in use.
// mu is held.
func (f *tlsFiles) read() (err error) {
	first := f.configs.Load() == nil
	changed := false
	var lines []func()
	for i := range f.settings {
		s := &f.settings[i]
		if s.look() && !first {
			lines = append(lines, f.changeLine(s.name, s.err))
			changed = changed || s.err == nil
		}
		if err == nil && s.err != nil {
			err = fmt.Errorf("tp: %s: %w", s.name, s.err)
		}
	}
	if changed || first && err == nil {
		f.configs.Store(f.build())
	}
	f.due = time.Now().Add(tlsFilesPause)
	for _, log := range lines { // last: a Logger may panic
		log()
	}
	return err
}

func (f *tlsFiles) changeLine(name string, err error) func() {
	if err != nil {
		return func() {
			f.log().Errorf("%s: changed, and cannot be used; what it held before is still in use: %v", name, err)
		}
	}
	return func() { f.log().Infof("%s: changed, and in use from the next handshake on", name) }
}

// build returns the configurations of what the settings hold.
func (f *tlsFiles) build() *tlsConfigs {
	// Sessions are resumed by clients with a ClientSessionCache. The client
	// here has none, so that each dial verifies the server by the roots of now.
	client := &tls.Config{RootCAs: f.roots, MinVersion: tls.VersionTLS12}
	if f.cert == nil {
		return &tlsConfigs{client: client}
	}
	client.Certificates = []tls.Certificate{*f.cert}
	server := &tls.Config{Certificates: client.Certificates, MinVersion: tls.VersionTLS12}
	if f.clientCAs != nil {
		server.ClientAuth = tls.RequireAndVerifyClientCert
		server.ClientCAs = f.clientCAs
		// A resumed session shows no certificate: that of the ticket counts,
		// as it was verified when the ticket was made. The keys of tickets are
		// those of the listener's configuration, which outlives this one, and
		// only recent releases of Go compare such a ticket with the ClientCAs
		// of now. Without tickets a client whose authority was taken out of
		// the file cannot come back, whatever the release.
		server.SessionTicketsDisabled = true
	}
	return &tlsConfigs{server: server, client: client}
}

// look reads the files of the setting, and uses them if they have changed.
func (s *tlsSetting) look() (changed bool) {
	seen := make([]string, len(s.paths))
	contents := make([][]byte, len(s.paths))
	var failed error
	for i, path := range s.paths {
		content, err := os.ReadFile(path)
		if err == nil {
			err = wholePEM(content)
		}
		seen[i], contents[i] = string(content), content
		if err != nil {
			seen[i] += "\x00" + err.Error()
			failed = errors.Join(failed, err)
		}
	}
	if slices.Equal(seen, s.seen) {
		return false
	}
	s.seen, s.err = seen, failed
	if failed == nil {
		s.err = s.use(contents)
	}
	return true
}

// wholePEM finds a file that is cut or damaged, which is PEM with fewer blocks
// to the decoder: it skips what it cannot read.
func wholePEM(content []byte) error {
	blocks := 0
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		blocks++
	}
	begun := bytes.Count(content, []byte("\n-----BEGIN "))
	if bytes.HasPrefix(content, []byte("-----BEGIN ")) {
		begun++
	}
	if begun != blocks {
		return fmt.Errorf("%d PEM blocks begin and %d are whole: the file is damaged or not written to its end", begun, blocks)
	}
	return nil
}

// readPool returns the certificates of a PEM file, all of which must be good.
func readPool(content []byte) (*x509.CertPool, error) {
	pool, n := x509.NewCertPool(), 0
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		n++
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("PEM block %d is a %s, want only CERTIFICATE", n, block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("PEM block %d: %w", n, err)
		}
		pool.AddCert(cert)
	}
	if n == 0 { // without any, nobody could be verified
		return nil, errors.New("there is no certificate in it, want PEM")
	}
	return pool, nil
}
