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

# The first Debian archive that apt here is configured with, in either of its formats.
mirror() {
    apt-get indextargets --format '$(CREATED_BY) $(SITE) $(REPO_URI) $(RELEASE) $(COMPONENT)' 2>/dev/null |
        awk '$1 == "Packages" && $5 == "main" && $3 !~ /security/ && $3 ~ /debian/ { print $3; exit }'
}

say "debootstrap $suite"
# shellcheck disable=SC2046  # no mirror found: debootstrap's own default
debootstrap --variant=minbase --include=ca-certificates,git,make "$suite" "$root" $(mirror)
# A mount of its own, as a machine's root is: unshare and /proc/self/mountinfo inside count on that.
mount --bind "$root" "$root"
mount --make-private "$root"

say "this machine's way to packages"
# apt: proxies and what else decides how it fetches; its sources only where they are Debian's own, of this suite.
for conf in /etc/apt/apt.conf /etc/apt/apt.conf.d/*; do
    if [ -f "$conf" ] && grep -qiE '^[^/#]*(Acquire::|proxy)' "$conf"; then
        install -D -m 644 "$conf" "$root$conf"
    fi
done
# Certificates: all that this machine trusts, under the usual names.
mkdir -p "$root/etc/ssl/certs" "$root/usr/local/share/ca-certificates"
[ ! -e /etc/ssl/certs/ca-certificates.crt ] || cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
cp -RL /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/" 2>/dev/null || true
# pip and npm: configuration files, for the whole machine and the user.
for conf in /etc/pip.conf /etc/xdg/pip/pip.conf "$HOME/.config/pip/pip.conf" "$HOME/.pip/pip.conf" \
    /etc/npmrc /usr/etc/npmrc "$HOME/.npmrc"; do
    case $conf in "$HOME"/*) to=$root/root/${conf#"$HOME"/} ;; *) to=$root$conf ;; esac
    [ ! -f "$conf" ] || install -D -m 600 "$conf" "$to"
done
# Names: the resolver's and the hosts file's, for a chroot shares our network.
cp -L /etc/resolv.conf /etc/hosts "$root/etc/" 2>/dev/null || true
# Environment: proxies, certificates, indexes. Nothing else of ours comes along.
env_file=$root/root/fresh-debian.env
(env | grep -iE '^(PIP_|NPM_CONFIG_|(HTTPS?|FTP|ALL|NO)_PROXY=|SSL_CERT_(FILE|DIR)=|REQUESTS_CA_BUNDLE=|CURL_CA_BUNDLE=|NODE_EXTRA_CA_CERTS=)' ||
    true) | sed "s/'/'\\\\''/g; s/^\([^=]*\)=\(.*\)\$/export \1='\2'/" >"$env_file"

# Folders of this machine that its pip configuration names, bound read-only: --find-links as they stand, of a file://
# index the folder above, for its pages may link to files beside them.
local_indexes() {
    {
        cat "$env_file" "$root/etc/pip.conf" "$root/etc/xdg/pip/pip.conf" "$root/root/.config/pip/pip.conf" \
            "$root/root/.pip/pip.conf" 2>/dev/null || true
    } | awk '{
        index_line = tolower($0) ~ /index[-_]url/
        if (!index_line && tolower($0) !~ /find[-_]links/) next
        sub(/^[^=]*=/, ""); gsub(/[\047",]/, " ")
        for (i = 1; i <= NF; i++) {
            sub(/^file:\/\//, "", $i); sub(/\/$/, "", $i)
            if ($i !~ /^\//) continue
            if (index_line) sub(/\/[^\/]*$/, "", $i)
            if ($i != "") print $i
        }
    }' | sort -u
}
for folder in $(local_indexes); do
    if [ -d "$folder" ]; then
        mkdir -p "$root$folder"
        mount --bind "$folder" "$root$folder"
        mount -o remount,bind,ro "$root$folder"
    fi
done
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
    /bin/sh -c "cd /root && . ./fresh-debian.env && set -ex
$COMMANDS"
say "passed"
