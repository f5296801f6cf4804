package pg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// oldest and newest are the major versions looked for under Debian's folders.
// Older servers lack what the rooms' queries use; a newer one is found by PATH
// or pg_config.
const oldest, newest = 14, 18

var errNoBinaries = errors.New("没有找到 PostgreSQL 服务器程序（14 或更高版本）。请安装：apt-get install --no-install-recommends postgresql，" +
	"或用环境变量 HOTLINE_PG_BIN 指明 initdb 与 postgres 所在目录，或在配置中给出 database_url" +
	" / no PostgreSQL server (14 or newer) found: install it with apt-get install --no-install-recommends postgresql," +
	" or name the folder of initdb and postgres in HOTLINE_PG_BIN, or set database_url")

// FindBinaries returns the folder that holds PostgreSQL's initdb and postgres.
// It looks at $HOTLINE_PG_BIN, then for `postgres` in PATH (through links),
// then at Debian's folders from version 18 down to 14, then asks pg_config. A
// HOTLINE_PG_BIN without the programs is an error, not passed over. The error
// says in both languages what to install.
func FindBinaries() (string, error) {
	dirs, err := binaryDirs(context.Background())
	if err != nil {
		return "", err
	}
	return dirs[0], nil
}

// binaryDirs returns every usable folder, the preferred one first.
func binaryDirs(ctx context.Context) ([]string, error) {
	if d := os.Getenv("HOTLINE_PG_BIN"); d != "" {
		if !holdsServer(d) {
			return nil, fmt.Errorf("HOTLINE_PG_BIN=%s 中没有 initdb 与 postgres / there is no initdb and postgres in HOTLINE_PG_BIN=%s", d, d)
		}
		d, err := filepath.Abs(d)
		return []string{d}, err
	}
	var try []string
	for _, name := range []string{"postgres", "initdb"} {
		if p, err := exec.LookPath(name); err == nil {
			if p, err = filepath.EvalSymlinks(p); err == nil {
				try = append(try, filepath.Dir(p))
			}
		}
	}
	for v := newest; v >= oldest; v-- {
		try = append(try, fmt.Sprintf("/usr/lib/postgresql/%d/bin", v))
	}
	if p, err := exec.LookPath("pg_config"); err == nil {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		if out, err := exec.CommandContext(ctx, p, "--bindir").Output(); err == nil {
			try = append(try, strings.TrimSpace(string(out)))
		}
	}
	var dirs []string
	for _, d := range try {
		if holdsServer(d) {
			dirs = append(dirs, d)
		}
	}
	if len(dirs) == 0 {
		return nil, errNoBinaries
	}
	return dirs, nil
}

func holdsServer(dir string) bool {
	for _, name := range []string{"initdb", "postgres"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
			return false
		}
	}
	return true
}

var versionLine = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// majorVersion asks the postgres of a folder for its major version.
func majorVersion(ctx context.Context, dir string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "-V").Output()
	if err != nil {
		return 0, fmt.Errorf("ask version of %s/postgres: %w", dir, err)
	}
	m := versionLine.FindSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("ask version of %s/postgres: unknown answer %q", dir, out)
	}
	return strconv.Atoi(string(m[1]))
}

// chooseBinaries returns the folder to run a cluster from. A cluster that
// exists already needs the major version that made it.
func chooseBinaries(ctx context.Context, binDir, data string) (string, error) {
	dirs := []string{binDir}
	if binDir == "" {
		var err error
		if dirs, err = binaryDirs(ctx); err != nil {
			return "", err
		}
	}
	made := 0
	if b, err := os.ReadFile(filepath.Join(data, "PG_VERSION")); err == nil {
		if made, err = strconv.Atoi(strings.TrimSpace(string(b))); err != nil {
			return "", fmt.Errorf("read version of cluster %s: %w", data, err)
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read version of cluster %s: %w", data, err)
	}
	found := 0
	for _, d := range dirs {
		v, err := majorVersion(ctx, d)
		if err != nil {
			return "", err
		}
		if v >= oldest && (made == 0 || made == v) {
			return d, nil
		}
		found = max(found, v)
	}
	if made == 0 {
		return "", fmt.Errorf("PostgreSQL %d 版本过低，需要 %d 或更高 / PostgreSQL %d is too old, %d or newer is needed", found, oldest, found, oldest)
	}
	return "", fmt.Errorf("数据目录 %[1]s 由 PostgreSQL %[2]d 创建，只找到 %[3]d；请安装 postgresql-%[2]d，或用 pg_upgrade 升级数据"+
		" / the cluster in %[1]s was made by PostgreSQL %[2]d but only %[3]d was found: install postgresql-%[2]d or run pg_upgrade", data, made, found)
}
