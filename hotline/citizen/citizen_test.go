package citizen_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"hotline12345/hotline"
	"hotline12345/hotline/citizen"
	"hotline12345/hotline/hotlinetest"
)

// auditor keeps what was audited; fail makes it refuse.
type auditor struct {
	mu   sync.Mutex
	rows []string
	fail error
}

func (a *auditor) Audit(_ context.Context, p hotline.Principal, action, subject string, detail any) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rows = append(a.rows, fmt.Sprint(p.ID, action, subject, detail))
	return a.fail
}

func vault(t testing.TB) *citizen.Vault {
	t.Helper()
	v, err := citizen.OpenVault(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func service(t testing.TB, pool *pgxpool.Pool, v *citizen.Vault) (*citizen.Service, *auditor) {
	t.Helper()
	a := &auditor{}
	s, err := citizen.New(citizen.Options{Pool: pool, Vault: v, Clock: hotlinetest.NewClock(time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC)), Audit: a})
	if err != nil {
		t.Fatal(err)
	}
	return s, a
}

func TestRegisterFindsTheSamePersonByAnyWritingOfTheNumber(t *testing.T) {
	t.Parallel()
	s, _ := service(t, hotlinetest.DB(t), vault(t))
	id, err := s.Register(t.Context(), "13812345678", "张三丰")
	if err != nil || id == 0 {
		t.Fatalf("Register = %d, %v", id, err)
	}
	for _, raw := range []hotline.Phone{"+8613812345678", "008613812345678", "138-1234 5678"} {
		if got, err := s.Register(t.Context(), raw, ""); got != id || err != nil {
			t.Errorf("Register of another writing = %d, %v, want %d", got, err, id)
		}
	}
	if got, ok, err := s.ByPhone(t.Context(), "13812345678"); got != id || !ok || err != nil {
		t.Errorf("ByPhone = %d, %v, %v, want %d", got, ok, err, id)
	}
	if _, ok, err := s.ByPhone(t.Context(), "13812345679"); ok || err != nil {
		t.Errorf("ByPhone of a stranger = %v, %v", ok, err)
	}
	if p, err := s.Person(t.Context(), id); err != nil || p.Name != "张**" || p.Phone != "138****5678" || p.Last4 != "5678" {
		t.Errorf("Person = %+v, %v; an empty name must not erase the kept one", p, err)
	}
	if _, err := s.Register(t.Context(), "13812345678", "李四"); err != nil {
		t.Fatal(err)
	}
	if p, _ := s.Person(t.Context(), id); p.Name != "李*" {
		t.Errorf("the newer name was not kept: %+v", p)
	}
	if got, err := s.Caller(t.Context(), "05633021234"); got == 0 || got == id || err != nil {
		t.Errorf("Caller of a new number = %d, %v", got, err)
	}
	if id, err := s.Register(t.Context(), "anonymous", ""); id != 0 || err != nil {
		t.Errorf("Register of nobody = %d, %v", id, err)
	}
	if _, err := s.Person(t.Context(), 1<<40); hotline.ErrorCode(err) != hotline.NotFound {
		t.Errorf("Person of an unknown id: %v", err)
	}
}

func TestRegisterAtOnceMakesOnePerson(t *testing.T) {
	t.Parallel()
	pool := hotlinetest.DB(t)
	s, _ := service(t, pool, vault(t))
	var wg sync.WaitGroup
	ids := make([]int64, 16)
	for i := range ids {
		wg.Go(func() {
			id, err := s.Register(t.Context(), "05633021234", "王")
			if err != nil {
				t.Error(err)
			}
			ids[i] = id
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("several persons for one number: %v", ids)
		}
	}
	n := 0
	if err := pool.QueryRow(t.Context(), `select count(id) from person`).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d persons, %v, want 1", n, err)
	}
}

func TestNothingReadableIsStored(t *testing.T) {
	t.Parallel()
	pool := hotlinetest.DB(t)
	s, _ := service(t, pool, vault(t))
	if _, err := s.Register(t.Context(), "13812345678", "张三丰"); err != nil {
		t.Fatal(err)
	}
	var row string
	if err := pool.QueryRow(t.Context(), `select encode(p.name_enc, 'escape') || '|' || n::text || '|' || p::text from person p join person_phone n on n.person_id = p.id`).Scan(&row); err != nil {
		t.Fatal(err)
	}
	hex := fmt.Sprintf("%x", "13812345678")
	if strings.Contains(row, "张三丰") || strings.Contains(row, "13812345678") || strings.Contains(row, hex) || strings.Contains(row, fmt.Sprintf("%x", "张三丰")) {
		t.Errorf("the row shows the caller: %s", row)
	}
}

func TestRevealAuditsBeforeItAnswers(t *testing.T) {
	t.Parallel()
	s, audit := service(t, hotlinetest.DB(t), vault(t))
	id, err := s.Register(t.Context(), "13812345678", "张三丰")
	if err != nil {
		t.Fatal(err)
	}
	agent := hotline.Principal{ID: 7, Roles: []hotline.Role{hotline.RoleAgent}}
	name, phone, err := s.Reveal(t.Context(), agent, id, "回访联系")
	if err != nil || name != "张三丰" || phone.Reveal() != "+8613812345678" {
		t.Errorf("Reveal = %q, %q, %v", name, phone.Reveal(), err)
	}
	if len(audit.rows) != 1 || !strings.Contains(audit.rows[0], "回访联系") || strings.Contains(audit.rows[0], "13812345678") {
		t.Errorf("audit rows %v", audit.rows)
	}
	audit.fail = errors.New("audit log away")
	if name, phone, err := s.Reveal(t.Context(), agent, id, "回访联系"); err == nil || name != "" || phone != "" {
		t.Errorf("Reveal without an audit row answered %q %v", name, phone)
	}
	audit.fail, audit.rows = nil, nil
	for _, c := range []struct {
		name   string
		p      hotline.Principal
		id     int64
		reason string
		want   hotline.Code
	}{
		{"no reason", agent, id, "  ", hotline.Invalid},
		{"long reason", agent, id, strings.Repeat("长", 201), hotline.Invalid},
		{"leader", hotline.Principal{ID: 8, Roles: []hotline.Role{hotline.RoleLeader}}, id, "看看", hotline.Forbidden},
		{"nobody", hotline.Principal{}, id, "看看", hotline.Forbidden},
		{"unknown", agent, id + 1000, "看看", hotline.NotFound},
	} {
		if _, _, err := s.Reveal(t.Context(), c.p, c.id, c.reason); hotline.ErrorCode(err) != c.want {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	if len(audit.rows) != 0 {
		t.Errorf("refused reveals left rows %v", audit.rows)
	}
}

func TestVault(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	a, err := citizen.OpenVault(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() != 64 {
		t.Fatalf("key file %v %v", info.Mode(), err)
	}
	b, err := citizen.OpenVault(path)
	if err != nil {
		t.Fatal(err)
	}
	sealed := a.Seal([]byte("13812345678"))
	if bytes.Contains(sealed, []byte("138")) || bytes.Equal(sealed, a.Seal([]byte("13812345678"))) {
		t.Error("a seal must hide the text and differ each time")
	}
	if plain, err := b.Open(sealed); err != nil || string(plain) != "13812345678" {
		t.Errorf("Open after reload = %q, %v", plain, err)
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := a.Open(bad); err == nil {
			t.Errorf("byte %d changed and it still opens", i)
		}
	}
	if _, err := vault(t).Open(sealed); err == nil {
		t.Error("another key opens it")
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := citizen.OpenVault(path); err == nil {
		t.Error("a key file that others may read was accepted")
	}
}

func TestOpenVaultAtOnceAgreesOnOneKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	vaults := make([]*citizen.Vault, 8)
	var wg sync.WaitGroup
	for i := range vaults {
		wg.Go(func() {
			v, err := citizen.OpenVault(path)
			if err != nil {
				t.Error(err)
			}
			vaults[i] = v
		})
	}
	wg.Wait()
	for _, v := range vaults {
		if _, err := v.Open(vaults[0].Seal([]byte("x"))); err != nil {
			t.Fatal("two starters made two keys")
		}
	}
}

func TestNewRefusesAnotherKey(t *testing.T) {
	t.Parallel()
	pool := hotlinetest.DB(t)
	v := vault(t)
	service(t, pool, v)
	service(t, pool, v)
	_, err := citizen.New(citizen.Options{Pool: pool, Vault: vault(t), Clock: hotlinetest.NewClock(time.Time{}), Audit: &auditor{}})
	if err == nil {
		t.Error("a database written with another key was accepted")
	}
}

func FuzzVaultOpen(f *testing.F) {
	v := vault(f)
	f.Add([]byte{})
	f.Add([]byte{1})
	f.Add(v.Seal([]byte("13812345678")))
	f.Fuzz(func(t *testing.T, b []byte) {
		if plain, err := v.Open(b); err == nil {
			if again, err := v.Open(v.Seal(plain)); err != nil || !bytes.Equal(again, plain) {
				t.Errorf("Open(Seal(%q)) = %q, %v", plain, again, err)
			}
		}
	})
}

func BenchmarkRegisterKnown(b *testing.B) {
	s, _ := service(b, hotlinetest.DB(b), vault(b))
	if _, err := s.Register(b.Context(), "13812345678", "张三丰"); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.Register(b.Context(), "13812345678", "张三丰"); err != nil {
			b.Fatal(err)
		}
	}
}
