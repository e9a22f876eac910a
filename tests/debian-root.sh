#!/bin/sh
# A Debian below a folder, and this machine's way to packages for it (a mirror, a proxy, certificates, the indexes of pip
# and npm), taken from the machine's own configuration: what is built in a chroot works behind a mirror, too.
#
# usage: tests/debian-root.sh make SUITE ROOT [PACKAGES]   debootstrap, with packages besides the minimum
#        tests/debian-root.sh access ROOT                  the way to packages. Folders that pip's configuration names are
#                                                          bound there, so: in a mount namespace of one's own. Writes
#                                                          root/package-access.env, to be read by a shell in there
set -eu

# The first Debian archive that apt here is configured with, in either of its formats.
mirror() {
    apt-get indextargets --format '$(CREATED_BY) $(SITE) $(REPO_URI) $(RELEASE) $(COMPONENT)' 2>/dev/null |
        awk '$1 == "Packages" && $5 == "main" && $3 !~ /security/ && $3 ~ /debian/ { print $3; exit }'
}

case $1 in
make)
    # shellcheck disable=SC2046  # no mirror found: debootstrap's own default
    exec debootstrap --variant=minbase ${4:+--include="$4"} "$2" "$3" $(mirror)
    ;;
access) root=$2 ;;
*) exit 2 ;;
esac

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
# Files that these name: constraints.
named_files() {
    { cat "$root/etc/pip.conf" "$root/etc/xdg/pip/pip.conf" "$root/root/.config/pip/pip.conf" "$root/root/.pip/pip.conf" \
        2>/dev/null || true; env | grep '^PIP_CONSTRAINT=' || true; } |
        awk 'tolower($0) ~ /^(pip_)?constraints? *=/ { sub(/^[^=]*= */, ""); for (i = 1; i <= NF; i++) print $i }' | sort -u
}
for file in $(named_files); do
    [ ! -f "$file" ] || install -D -m 644 "$file" "$root$file"
done
# Names: the resolver's and the hosts file's, for a chroot shares our network.
cp -L /etc/resolv.conf /etc/hosts "$root/etc/" 2>/dev/null || true
# Environment: proxies, certificates, indexes. Nothing else of ours comes along.
env_file=$root/root/package-access.env
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
