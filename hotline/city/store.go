package city

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/jackc/pgx/v5"

	"hotline12345/hotline"
)

const (
	// EXCLUSIVE lets readers pass and puts publishers in one line.
	sqlLock = `lock table city_version in exclusive mode`

	sqlNewest = `select version, name from city_version order by version desc limit 1`

	sqlHashes = `select distinct on (kind) kind, version, hash from city_dataset order by kind, version desc`

	sqlInsertDataset = `insert into city_dataset (kind, version, hash, source, loaded_at, data) values ($1, $2, $3, $4, $5, $6)`

	sqlInsertVersion = `insert into city_version (version, name, datasets, at, source) values ($1, $2, $3, $4, $5)`

	sqlVersion = `select coalesce(max(version), 0) from city_version`

	sqlLoad = `
select v.name, d.kind, d.data
  from city_version v
  cross join lateral jsonb_each_text(v.datasets) s
  join city_dataset d on d.kind = s.key and d.version = s.value::int
 where v.version = $1`
)

// publish stores what differs from the newest content of each kind.
func (a *Archive) publish(ctx context.Context, name string, sets []dataset, source string) (version int, changed bool, err error) {
	err = pgx.BeginFunc(ctx, a.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, sqlLock); err != nil {
			return err
		}
		type stored struct {
			Kind    string
			Version int
			Hash    string
		}
		rows, err := tx.Query(ctx, sqlHashes)
		if err != nil {
			return err
		}
		all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[stored])
		if err != nil {
			return err
		}
		newest := map[string]stored{}
		for _, s := range all {
			newest[s.Kind] = s
		}
		var oldName string
		if err := tx.QueryRow(ctx, sqlNewest).Scan(&version, &oldName); err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		changed = version == 0 || oldName != name
		now := a.clock.Now()
		inForce := map[string]int{}
		for _, s := range sets {
			had := newest[s.kind]
			inForce[s.kind] = had.Version
			if had.Hash == s.hash {
				continue
			}
			changed = true
			inForce[s.kind] = had.Version + 1
			if _, err := tx.Exec(ctx, sqlInsertDataset, s.kind, had.Version+1, s.hash, source, now, json.RawMessage(s.data)); err != nil {
				return err
			}
		}
		if !changed {
			return nil
		}
		version++
		_, err = tx.Exec(ctx, sqlInsertVersion, version, name, inForce, now, source)
		return err
	})
	return version, changed, err
}

// latest returns the version in force; zero when there is none.
func (a *Archive) latest(ctx context.Context) (version int, err error) {
	err = a.pool.QueryRow(ctx, sqlVersion).Scan(&version)
	return version, err
}

func (a *Archive) load(ctx context.Context, version int) (hotline.City, error) {
	rows, err := a.pool.Query(ctx, sqlLoad, version)
	if err != nil {
		return hotline.City{}, err
	}
	var name, kind string
	var data []byte
	docs := map[string][]byte{}
	if _, err := pgx.ForEachRow(rows, []any{&name, &kind, &data}, func() error {
		docs[kind] = append([]byte(nil), data...)
		return nil
	}); err != nil {
		return hotline.City{}, err
	}
	return decode(name, docs)
}
