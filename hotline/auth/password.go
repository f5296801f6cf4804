package auth

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// The cost of one hash: the least of the OWASP Password Storage Cheat Sheet
// for argon2id (19 MiB, two passes, one lane), 29-55 ms here.
const (
	argonMemoryKiB = 19 * 1024
	argonPasses    = 2
	argonLanes     = 1
	argonKeyBytes  = 32
	argonSaltBytes = 16
)

// newSecret returns 128 random bits as text.
func newSecret() string { return rand.Text() }

// hashPassword returns the PHC string of an argon2id hash with a fresh salt.
func hashPassword(password string) (string, error) {
	salt := make([]byte, argonSaltBytes)
	if _, err := rand.Read(salt); err != nil {
		return "", fmt.Errorf("make salt: %w", err)
	}
	return phc{memoryKiB: argonMemoryKiB, passes: argonPasses, lanes: argonLanes, salt: salt,
		key: argon2.IDKey([]byte(password), salt, argonPasses, argonMemoryKiB, argonLanes, argonKeyBytes)}.String(), nil
}

// verifyPassword tells whether the password is the hashed one, in a time that
// does not depend on where they differ.
func verifyPassword(hash, password string) (bool, error) {
	h, err := parsePHC(hash)
	if err != nil {
		return false, err
	}
	key := argon2.IDKey([]byte(password), h.salt, h.passes, h.memoryKiB, h.lanes, uint32(len(h.key)))
	return subtle.ConstantTimeCompare(key, h.key) == 1, nil
}

// phc is an argon2id hash with its parameters.
type phc struct {
	memoryKiB, passes uint32
	lanes             uint8
	salt, key         []byte
}

// String writes "$argon2id$v=19$m=19456,t=2,p=1$salt$key" (PHC string format).
func (h phc) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memoryKiB, h.passes, h.lanes,
		base64.RawStdEncoding.EncodeToString(h.salt), base64.RawStdEncoding.EncodeToString(h.key))
}

// parsePHC reads what String wrote and refuses parameters that would cost more
// than 64 MiB or 10 passes.
func parsePHC(s string) (phc, error) {
	bad := errors.New("parse password hash: not an argon2id PHC string")
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return phc{}, bad
	}
	var h phc
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memoryKiB, &h.passes, &h.lanes); n != 3 || err != nil {
		return phc{}, bad
	}
	var err1, err2 error
	h.salt, err1 = base64.RawStdEncoding.Strict().DecodeString(parts[4])
	h.key, err2 = base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if err1 != nil || err2 != nil || h.String() != s {
		return phc{}, bad
	}
	if h.memoryKiB < 8 || h.memoryKiB > 64*1024 || h.passes < 1 || h.passes > 10 || h.lanes < 1 || h.lanes > 4 ||
		len(h.salt) < 8 || len(h.salt) > 64 || len(h.key) < 16 || len(h.key) > 64 {
		return phc{}, errors.New("parse password hash: parameters out of bounds")
	}
	return h, nil
}
