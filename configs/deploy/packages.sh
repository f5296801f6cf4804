#!/bin/sh
# Makes sure that the Debian packages of a task are there: installs what is
# missing, and only that. Elsewhere it names what to install and stops.
#   packages.sh demo    what `make demo` needs: PostgreSQL's server binaries
#   packages.sh test    what `make test` needs besides: Redis, SIP clients, Chromium, a voice
#   packages.sh prompts what making spoken prompts needs
set -eu

task=${1:?"usage: packages.sh demo|test|prompts"}
missing=""

# need COMMAND PACKAGE: notes the package when the command is not found.
need() {
  command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}

postgres_found() {
  [ -n "${HOTLINE_PG_BIN:-}" ] && [ -x "$HOTLINE_PG_BIN/initdb" ] && return 0
  command -v initdb >/dev/null 2>&1 && return 0
  for v in 18 17 16 15 14; do
    [ -x "/usr/lib/postgresql/$v/bin/initdb" ] && return 0
  done
  return 1
}

postgres_package() {
  v=$(apt-cache depends postgresql 2>/dev/null | sed -n 's/.*Depends: \(postgresql-[0-9][0-9]*\)$/\1/p' | head -n 1)
  echo "${v:-postgresql-15}"
}

case $task in
  demo) ;;
  test)
    need redis-server redis-server
    need sipp sip-tester
    need baresip baresip-core
    need chromium chromium
    need espeak-ng espeak-ng
    need sox sox
    fc-list :lang=zh 2>/dev/null | grep -q . || missing="$missing fontconfig fonts-noto-cjk"
    ;;
  prompts)
    need espeak-ng espeak-ng
    need sox sox
    ;;
  *) echo "packages.sh: unknown task $task" >&2; exit 2 ;;
esac

if command -v apt-get >/dev/null 2>&1; then
  if [ "$task" != prompts ] && ! postgres_found; then
    [ -n "$(apt-cache show postgresql 2>/dev/null)" ] || { [ "$(id -u)" = 0 ] && apt-get update -q >/dev/null; }
    missing="$missing $(postgres_package)"
  fi
elif [ "$task" != prompts ] && ! postgres_found; then
  missing="$missing postgresql-server(14+)"
fi
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
  echo "请先安装 / Please install first:$missing" >&2
  exit 1
fi
if [ "$(id -u)" != 0 ]; then
  echo "缺少软件包，请以管理员身份运行 / Missing packages, please run as root:" >&2
  echo "  apt-get install --no-install-recommends$missing" >&2
  exit 1
fi
echo "正在安装 / Installing:$missing"
# Debian would start a system-wide PostgreSQL cluster and a Redis; we run our own.
mkdir -p /etc/postgresql-common
[ -e /etc/postgresql-common/createcluster.conf ] || echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf
export DEBIAN_FRONTEND=noninteractive
printf '#!/bin/sh\nexit 101\n' > /tmp/policy-rc.d.$$ && chmod +x /tmp/policy-rc.d.$$
had_policy=1
[ -e /usr/sbin/policy-rc.d ] || { had_policy=0; mv /tmp/policy-rc.d.$$ /usr/sbin/policy-rc.d; }
trap 'rm -f /tmp/policy-rc.d.$$; [ "$had_policy" = 1 ] || rm -f /usr/sbin/policy-rc.d' EXIT
# shellcheck disable=SC2086 # the list is words
if ! apt-get install -y -q --no-install-recommends $missing >/tmp/hotline-packages.log 2>&1; then
  apt-get update -q >>/tmp/hotline-packages.log 2>&1
  # shellcheck disable=SC2086
  apt-get install -y -q --no-install-recommends $missing >>/tmp/hotline-packages.log 2>&1 || {
    tail -n 20 /tmp/hotline-packages.log >&2
    echo "安装失败，见 /tmp/hotline-packages.log / installation failed, see /tmp/hotline-packages.log" >&2
    exit 1
  }
fi
