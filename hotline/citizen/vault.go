package citizen

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"hotline12345/hotline"
)

// keyFileBytes is the size of the key file: random bytes, from which the keys
// for sealing and hashing are derived apart (HKDF, RFC 5869).
const keyFileBytes = 64

// sealedVersion is the first byte of what Seal makes: AES-256-GCM (NIST SP
// 800-38D) with a random 96-bit nonce in front.
const sealedVersion = 1

// Vault seals personal data and makes the keyed hashes numbers are found by.
// It is immutable and safe for concurrent use.
type Vault struct {
	aead        cipher.AEAD
	hashKey     []byte
	fingerprint []byte // tells keys apart, gives none away
}

// OpenVault reads the key file, and makes one with fresh random bytes when it
// is missing (mode 0600, in a folder that exists). It refuses a file others
// may read.
func OpenVault(path string) (*Vault, error) {
	secret, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = makeKey(path); err == nil || errors.Is(err, fs.ErrExist) {
			secret, err = readKey(path) // whoever made it first
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open key file %s: %w", path, err)
	}
	return newVault(secret)
}

func newVault(secret []byte) (*Vault, error) {
	derive := func(use string) ([]byte, error) {
		return hkdf.Key(sha256.New, secret, nil, "hotline citizen "+use+" v1", 32)
	}
	sealKey, err1 := derive("seal")
	hashKey, err2 := derive("phone hash")
	fingerprint, err3 := derive("fingerprint")
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, fmt.Errorf("derive keys: %w", err)
	}
	block, err := aes.NewCipher(sealKey)
	if err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	return &Vault{aead: aead, hashKey: hashKey, fingerprint: fingerprint}, nil
}

func readKey(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("权限须为 0600，现为 %04o / mode must be 0600", info.Mode().Perm())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(b) != keyFileBytes {
		return nil, fmt.Errorf("须为 %d 字节，现为 %d / not a key file", keyFileBytes, len(b))
	}
	return b, nil
}

// makeKey writes a whole key file beside path and links it into place, so that
// no reader ever sees half a key and two starters agree on one.
func makeKey(path string) error {
	secret := make([]byte, keyFileBytes)
	rand.Read(secret) // never fails (crypto/rand)
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(secret)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Link(f.Name(), path)
}

// Seal encrypts plain with a fresh nonce: two seals of one text differ.
func (v *Vault) Seal(plain []byte) []byte {
	return v.aead.Seal([]byte{sealedVersion}, nil, plain, nil)
}

// errSealed says that a sealed value was damaged or made with another key.
var errSealed = errors.New("sealed value does not open with this key")

// Open decrypts what Seal made. It fails on anything else.
func (v *Vault) Open(sealed []byte) ([]byte, error) {
	if len(sealed) < 1 || sealed[0] != sealedVersion {
		return nil, errSealed
	}
	plain, err := v.aead.Open(nil, nil, sealed[1:], nil)
	if err != nil {
		return nil, errSealed
	}
	return plain, nil
}

// hash is the HMAC-SHA-256 a number is found by.
func (v *Vault) hash(phone hotline.Phone) []byte {
	m := hmac.New(sha256.New, v.hashKey)
	m.Write([]byte(phone.Reveal()))
	return m.Sum(nil)
}
