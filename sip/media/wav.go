package media

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// WAVE format tags (RFC 2361).
const (
	wavALaw = 6
	wavULaw = 7
)

// wavHeaderSize is RIFF, an 18-byte fmt chunk, a fact chunk and the head of
// the data chunk.
const wavHeaderSize = 12 + 8 + 18 + 8 + 4 + 8

// wavHeader describes stereo A-law with so many bytes of data. A fact chunk is
// required for every format but PCM.
func wavHeader(data int64) []byte {
	n := uint32(min(data, 1<<32-wavHeaderSize-1))
	b := make([]byte, 0, wavHeaderSize)
	le := binary.LittleEndian
	b = append(b, "RIFF"...)
	b = le.AppendUint32(b, wavHeaderSize-8+n)
	b = append(b, "WAVEfmt "...)
	b = le.AppendUint32(b, 18)
	b = le.AppendUint16(b, wavALaw)
	b = le.AppendUint16(b, 2)
	b = le.AppendUint32(b, RateHz)
	b = le.AppendUint32(b, 2*RateHz)
	b = le.AppendUint16(b, 2)
	b = le.AppendUint16(b, 8)
	b = le.AppendUint16(b, 0)
	b = append(b, "fact"...)
	b = le.AppendUint32(b, 4)
	b = le.AppendUint32(b, n/2)
	b = append(b, "data"...)
	return le.AppendUint32(b, n)
}

// Repair makes a recording that a crash left behind whole: the header is set
// to what the file holds, half a sample at the end is cut, and a name that
// ends in PartSuffix is published under its final name. It is safe on a whole
// file. A file that never held a header is an error. Do not call it on a
// recording that is still being written.
func Repair(path string) (Sealed, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return Sealed{}, fmt.Errorf("repair recording: %w", err)
	}
	data, err := mend(f)
	if err != nil {
		return Sealed{}, errors.Join(fmt.Errorf("repair recording %s: %w", filepath.Base(path), err), f.Close())
	}
	s := Sealed{Path: path, Duration: time.Duration(data/2) * time.Second / RateHz}
	if final, ok := strings.CutSuffix(path, PartSuffix); ok {
		s.Path = final
		s.SHA256, err = publish(f, final)
		return s, err
	}
	s.SHA256, err = digest(f)
	return s, errors.Join(err, f.Close())
}

// mend patches the header of an open recording and returns its data bytes.
func mend(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	head := make([]byte, wavHeaderSize)
	if _, err := f.ReadAt(head, 0); err != nil {
		return 0, errors.New("no header")
	}
	want := wavHeader(0)
	same := string(head[8:42]) == string(want[8:42]) && string(head[:4]) == "RIFF" && string(head[50:54]) == "data"
	if !same {
		return 0, errors.New("not a recording of ours")
	}
	data := (info.Size() - wavHeaderSize) &^ 1
	if err := f.Truncate(wavHeaderSize + data); err != nil {
		return 0, err
	}
	_, err = f.WriteAt(wavHeader(data), 0)
	return data, err
}

// publish gives a finished file its final name so that the name, once there,
// always holds the whole recording: fsync, link (which refuses to overwrite),
// unlink, fsync of the folder. It closes the file and returns its digest.
func publish(f *os.File, final string) (string, error) {
	sum, err := digest(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("seal recording: %w", err)
	}
	if err := os.Link(f.Name(), final); err != nil && !sameFile(f.Name(), final) {
		return "", fmt.Errorf("publish recording: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return "", fmt.Errorf("publish recording: %w", err)
	}
	dir, err := os.Open(filepath.Dir(final))
	if err != nil {
		return "", fmt.Errorf("publish recording: %w", err)
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return "", fmt.Errorf("publish recording: %w", err)
	}
	return sum, nil
}

// sameFile tells whether both names hold one file: a crash came between link
// and unlink.
func sameFile(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

func digest(f *os.File) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, 1<<62)); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
