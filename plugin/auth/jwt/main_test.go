package jwt_test

import (
	"testing"

	"github.com/henrylee2cn/teleport/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }
