package pg

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// layout is where the parts of a cluster lie: everything in one folder, but
// for the socket when its path would be too long.
type layout struct{ dir, data, socket, log, lock string }

// contents are the names a cluster folder may hold. Any other name means that
// somebody gave us a folder of theirs.
var contents = []string{"data", "data.new", "socket", "postgres.log", "postgres.log.old", "lock"}

// maxSocketDir keeps folder + "/.s.PGSQL.5432" within the 107 bytes of a
// socket address (unix(7), sun_path).
const maxSocketDir = 92

func layoutOf(dir string) layout {
	l := layout{
		dir: dir, data: filepath.Join(dir, "data"), socket: filepath.Join(dir, "socket"),
		log: filepath.Join(dir, "postgres.log"), lock: filepath.Join(dir, "lock"),
	}
	if len(l.socket) > maxSocketDir {
		h := sha256.Sum256([]byte(dir))
		l.socket = filepath.Join(os.TempDir(), "hotline-pg-"+hex.EncodeToString(h[:6]))
	}
	return l
}

// unprivileged returns the user the server runs as: nil for ourselves. When
// we are root, which PostgreSQL refuses, it is the owner of a cluster that
// exists, else "postgres", else "nobody".
func unprivileged(data string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	if info, err := os.Stat(data); err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 {
			return &syscall.Credential{Uid: st.Uid, Gid: st.Gid}, nil
		}
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("以 root 启动时需要系统用户 postgres 或 nobody 来运行数据库 / started as root, but there is neither a user postgres nor nobody to run the database as")
}

// prepare makes the cluster's folders and hands them to the server's user. It
// refuses a folder with other things in it, as it would change their owner.
func (l layout) prepare(cred *syscall.Credential) error {
	entries, err := os.ReadDir(l.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look at data folder %s: %w", l.dir, err)
	}
	for _, e := range entries {
		if !slices.Contains(contents, e.Name()) {
			return fmt.Errorf("目录 %[1]s 中有其他文件（%[2]s），不能用作数据库目录，请换一个空目录 / folder %[1]s holds other things (%[2]s) and cannot be the database's; give an empty one", l.dir, e.Name())
		}
	}
	// Folders above ours stay open for passing through.
	if err := os.MkdirAll(filepath.Dir(l.dir), 0o755); err != nil {
		return fmt.Errorf("make folder %s: %w", filepath.Dir(l.dir), err)
	}
	for _, d := range []string{l.dir, l.socket} {
		if err := own(d, cred); err != nil {
			return err
		}
	}
	return reachable(l.dir, cred)
}

// own makes one folder 0700 and gives it to the user. A folder that is a link
// or belongs to a stranger is refused: the socket may lie in a folder where
// anybody can make names.
func own(dir string, cred *syscall.Credential) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make folder %s: %w", dir, err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("look at folder %s: %w", dir, err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	ours := ok && (int(st.Uid) == os.Geteuid() || cred != nil && st.Uid == cred.Uid)
	if !info.IsDir() || !ours {
		return fmt.Errorf("%s 不是本程序的目录，请删除它或换一个数据目录 / %s is not a folder of ours; remove it or choose another data folder", dir, dir)
	}
	if cred != nil {
		if err := os.Lchown(dir, int(cred.Uid), int(cred.Gid)); err != nil {
			return fmt.Errorf("give folder %s to the database user: %w", dir, err)
		}
	}
	return os.Chmod(dir, 0o700)
}

// reachable checks that the server's user can walk to the data folder.
func reachable(dir string, cred *syscall.Credential) error {
	if cred == nil {
		return nil
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return fmt.Errorf("resolve folder %s: %w", dir, err)
	}
	for d := filepath.Dir(real); ; d = filepath.Dir(d) {
		info, err := os.Stat(d)
		if err != nil {
			return fmt.Errorf("look at folder %s: %w", d, err)
		}
		bit := fs.FileMode(0o001)
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid == cred.Uid {
			bit = 0o100
		} else if ok && st.Gid == cred.Gid {
			bit = 0o010
		}
		if info.Mode()&bit == 0 {
			return fmt.Errorf("数据库用户（uid %[2]d）无法进入目录 %[1]s，请把数据目录放到别处（如 /var/lib/hotline）"+
				" / the database user (uid %[2]d) cannot enter %[1]s; put the data folder elsewhere, for example /var/lib/hotline", d, cred.Uid)
		}
		if d == "/" {
			return nil
		}
	}
}

// runningError tells that another server has the data folder.
func runningError(dir string, pid int) error {
	return fmt.Errorf("数据目录 %[1]s 的数据库已在运行（进程 %[2]d），请先停止它，或换一个数据目录"+
		" / the database of %[1]s is already running (pid %[2]d); stop it or choose another data folder", dir, pid)
}

// claim takes the folder for this process until the file is closed or the
// process ends, however it ends.
func (l layout) claim() (*os.File, error) {
	f, err := os.OpenFile(l.lock, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock of data folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		b, _ := os.ReadFile(l.lock)
		pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
		_ = f.Close()
		return nil, runningError(l.dir, pid)
	}
	if err := errors.Join(f.Truncate(0), writeAt(f, strconv.Itoa(os.Getpid()))); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("write lock of data folder: %w", err)
	}
	return f, nil
}

func writeAt(f *os.File, s string) error {
	_, err := f.WriteAt([]byte(s+"\n"), 0)
	return err
}

// clearStale deals with the lock files of a server that was killed. It
// returns an error while any process still works in the data folder (the old
// server may be shutting down: try again). A lock file that names a dead
// process is left to PostgreSQL, whose own checks are better; one that names a
// live stranger, because process ids come round again, is removed, as
// PostgreSQL would refuse to start for ever.
func (l layout) clearStale() error {
	for _, lock := range []string{filepath.Join(l.data, "postmaster.pid"), filepath.Join(l.socket, ".s.PGSQL.5432.lock")} {
		b, err := os.ReadFile(lock)
		if err != nil {
			continue
		}
		first, _, _ := strings.Cut(string(b), "\n")
		pid, err := strconv.Atoi(strings.TrimSpace(first))
		if err != nil || pid <= 0 || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			continue
		}
		if serves(pid, l.data) {
			return runningError(l.dir, pid)
		}
		if other := workingIn(l.data); other != 0 {
			return runningError(l.dir, other)
		}
		if err := os.Remove(lock); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove stale lock %s: %w", lock, err)
		}
	}
	return nil
}

// serves tells whether the process is a server started for the data folder.
// A zombie has no command line and serves nothing.
func serves(pid int, data string) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	args := strings.Split(string(b), "\x00")
	i := slices.Index(args, "-D")
	return i >= 0 && i+1 < len(args) && args[i+1] == data
}

// workingIn returns a process whose working folder is the data folder, as it
// is of a server and all its children, or zero.
func workingIn(data string) int {
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range links {
		if dir, err := os.Readlink(link); err == nil && dir == data {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(link)))
			return pid
		}
	}
	return 0
}
