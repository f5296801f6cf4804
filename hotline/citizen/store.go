package citizen

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"hotline12345/hotline"
	"hotline12345/hotline/pg"
)

const (
	sqlByPhone = `select p.id, p.name_enc from person_phone n join person p on p.id = n.person_id where n.phone_hmac = $1`
	sqlPerson  = `select p.name_enc, (select n.phone_enc from person_phone n where n.person_id = p.id order by n.created_at, n.phone_hmac limit 1)
from person p where p.id = $1`
	sqlInsertPerson = `insert into person (name_enc, created_at, updated_at) values ($1, $2, $2) returning id`
	sqlInsertPhone  = `insert into person_phone (phone_hmac, person_id, phone_enc, last4, created_at) values ($1, $2, $3, $4, $5)`
	sqlRename       = `update person set name_enc = $2, updated_at = $3 where id = $1`
	// Two calls from one new number must not make two persons.
	sqlLockPhone = `select pg_advisory_xact_lock($1)`

	sqlPutKey = `insert into citizen_key (fingerprint) values ($1) on conflict (one_row) do nothing`
	sqlKey    = `select fingerprint from citizen_key`
)

// querier is a pool or a transaction.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// checkKey compares the vault's key with the one the database was written with.
func (s *Service) checkKey(ctx context.Context) error {
	if _, err := s.pool.Exec(ctx, sqlPutKey, s.vault.fingerprint); err != nil {
		return fmt.Errorf("keep key fingerprint: %w", pg.Code(err))
	}
	var kept []byte
	if err := s.pool.QueryRow(ctx, sqlKey).Scan(&kept); err != nil {
		return fmt.Errorf("read key fingerprint: %w", pg.Code(err))
	}
	if !bytes.Equal(kept, s.vault.fingerprint) {
		return errors.New("密钥文件与数据库不符，请恢复原密钥文件 / the key file is not the one this database was written with; restore the old key file")
	}
	return nil
}

func (s *Service) byPhone(ctx context.Context, q querier, phone hotline.Phone) (id int64, name string, ok bool, err error) {
	var sealed []byte
	err = q.QueryRow(ctx, sqlByPhone, s.vault.hash(phone)).Scan(&id, &sealed)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, "", false, nil
	}
	if err != nil {
		return 0, "", false, fmt.Errorf("find person by phone: %w", pg.Code(err))
	}
	name, err = s.openText(sealed)
	if err != nil {
		return 0, "", false, fmt.Errorf("open name of person %d: %w", id, err)
	}
	return id, name, true, nil
}

func (s *Service) insertPerson(ctx context.Context, name string) (int64, error) {
	var id int64
	if err := s.pool.QueryRow(ctx, sqlInsertPerson, s.sealText(name), s.clock.Now()).Scan(&id); err != nil {
		return 0, fmt.Errorf("insert person: %w", pg.Code(err))
	}
	return id, nil
}

func (s *Service) insertWithPhone(ctx context.Context, phone hotline.Phone, name string) (int64, error) {
	hash, now := s.vault.hash(phone), s.clock.Now()
	var id int64
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, sqlLockPhone, int64(binary.BigEndian.Uint64(hash))); err != nil {
			return err
		}
		kept, _, ok, err := s.byPhone(ctx, tx, phone)
		if err != nil || ok {
			id = kept
			return err
		}
		if err := tx.QueryRow(ctx, sqlInsertPerson, s.sealText(name), now).Scan(&id); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, sqlInsertPhone, hash, id, s.vault.Seal([]byte(phone.Reveal())), phone.Last4(), now)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("register caller: %w", pg.Code(err))
	}
	return id, nil
}

func (s *Service) rename(ctx context.Context, id int64, name string) error {
	if _, err := s.pool.Exec(ctx, sqlRename, id, s.sealText(name), s.clock.Now()); err != nil {
		return fmt.Errorf("rename person %d: %w", id, pg.Code(err))
	}
	return nil
}

// open reads a person in full.
func (s *Service) open(ctx context.Context, id int64) (string, hotline.Phone, error) {
	var sealedName, sealedPhone []byte
	err := s.pool.QueryRow(ctx, sqlPerson, id).Scan(&sealedName, &sealedPhone)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", "", hotline.Errorf(hotline.NotFound, "没有这位来电人")
	}
	if err != nil {
		return "", "", fmt.Errorf("read person %d: %w", id, pg.Code(err))
	}
	name, err := s.openText(sealedName)
	if err != nil {
		return "", "", fmt.Errorf("open name of person %d: %w", id, err)
	}
	phone, err := s.openText(sealedPhone)
	if err != nil {
		return "", "", fmt.Errorf("open phone of person %d: %w", id, err)
	}
	return name, hotline.Phone(phone), nil
}

// sealText seals a text; "" is stored as null.
func (s *Service) sealText(text string) []byte {
	if text == "" {
		return nil
	}
	return s.vault.Seal([]byte(text))
}

func (s *Service) openText(sealed []byte) (string, error) {
	if sealed == nil {
		return "", nil
	}
	b, err := s.vault.Open(sealed)
	return string(b), err
}
