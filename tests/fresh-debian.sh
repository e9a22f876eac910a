#!/bin/sh
# Follows the README on a Debian 12 that has nothing on it but git and make: does it work for somebody who just came?
#
# Makes a Debian root with debootstrap, clones the committed state of this checkout into it, and runs the README's
# commands in a chroot of its own mount and pid namespace. What the machine needs to reach packages (a mirror, a proxy,
# certificates, the indexes of pip and npm) is taken from its own configuration, so it works behind a mirror, too.
# Needs root, debootstrap, git, util-linux. Writes build/fresh-debian.log; exits with the commands' status.
#
# usage: tests/fresh-debian.sh [FOLDER]        FOLDER: where the root is made (default: below TMPDIR), removed at the end
#        KEEP=1 leaves it there; SUITE=trixie takes another Debian; COMMANDS=… runs something else than the README's
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
suite=${SUITE:-bookworm}
log=$here/build/fresh-debian.log
[ "$(id -u)" = 0 ] || { echo "fresh-debian: needs root (debootstrap, chroot)" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "fresh-debian: run: apt-get install debootstrap" >&2; exit 1; }

# Everything that mounts happens in a mount namespace of our own: whatever way this ends, no mount is left behind, and
# removing the root cannot reach into what was bound there.
if [ "${FRESH_DEBIAN_INSIDE:-}" != yes ]; then
    mkdir -p "$here/build"
    base=${1:-$(mktemp -d "${TMPDIR:-/tmp}/fresh-debian.XXXXXX")}
    mkdir -p "$base"
    trap '[ -n "${KEEP:-}" ] || rm -rf --one-file-system "$base"' EXIT
    trap 'exit 130' INT TERM HUP
    status=0
    FRESH_DEBIAN_INSIDE=yes unshare --mount --pid --fork --propagation private "$0" "$base" >"$log" 2>&1 || status=$?
    tail -n 20 "$log"
    echo "fresh-debian: $([ $status = 0 ] && echo passed || echo "failed with $status"); the whole log: $log"
    exit $status
fi

root=$1/root
say() { printf '\n=== %s  %s\n' "$(date +%T)" "$*"; }

say "debootstrap $suite"
"$here/tests/debian-root.sh" make "$suite" "$root" ca-certificates,git,make
# A mount of its own, as a machine's root is: unshare and /proc/self/mountinfo inside count on that.
mount --bind "$root" "$root"
mount --make-private "$root"

say "this machine's way to packages"
"$here/tests/debian-root.sh" access "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
mount -t tmpfs tmpfs "$root/run"

say "clone"
git -c safe.directory='*' clone -q "$here" "$root/root/curserve"
printf '#include <errno.h>\nint main(void) { return EINTR; }\n' >"$root/root/example.c"

# The two commands of README.md, after its clone. `make shell` gets a script on stdin where a person would type.
if [ -z "${COMMANDS:-}" ]; then
    COMMANDS='cd curserve
mkdir -p /root/project && cp /root/example.c /root/project/ && git -C /root/project init -q
printf "%s\n" "command -v rg" "rg -n EINTR ." "rg --json EINTR . | tail -1" "exit 0" |
    make shell DIR=/root/project
.venv/bin/curserve attach /root/project
.venv/bin/curserve status
CURSERVE_TRACE=/root/trace .venv/bin/curserve run -C /root/project -- rg -n EINTR
cat /root/trace
grep -q "\"served\":true" /root/trace
.venv/bin/curserve stop
make test'
fi
say "$COMMANDS"
chroot "$root" /usr/bin/env -i HOME=/root USER=root TERM=dumb LANG=C.UTF-8 \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    /bin/sh -c "cd /root && . ./package-access.env && set -ex
$COMMANDS"
say "passed"
