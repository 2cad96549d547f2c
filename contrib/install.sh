#!/bin/sh
#
# usage: contrib/install.sh [--uninstall] [--samples-only] [DESTDIR]
#
# Puts a built Portcullis where FreeBSD or Linux expects it; DESTDIR (default: the running system) is for packages.
# It may be run again after every build: the operator's files are never overwritten, only their .sample is renewed.
#
#   --uninstall      removes what was installed; a configuration that was changed stays, and so does the state, but the
#                    file of bans that pf.conf may name is emptied
#   --samples-only   leaves out the real configuration files (a package manager makes them from the samples)
#
# Environment:
#   PREFIX   /usr/local unless set; with PREFIX=/usr on Linux the configuration goes to /etc
#   SYSTEM   freebsd or linux; this machine's unless set
#   BINARY   the program; the release build for SYSTEM unless set
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
umask 022

die() {
	printf 'install.sh: %s\n' "$*" >&2
	exit 1
}

### What was asked for

action=install
real_configs=yes
destdir=
for argument in "$@"; do
	case $argument in
	--uninstall) action=uninstall ;;
	--samples-only) real_configs=no ;;
	-h | --help)
		sed -n '3,17s/^# \{0,1\}//p' "$0"
		exit 0
		;;
	-*) die "unknown option $argument; see contrib/install.sh --help" ;;
	*)
		[ -z "$destdir" ] || die "one DESTDIR is enough: $destdir or $argument?"
		destdir=${argument%/}
		;;
	esac
done

host=$(uname -s | tr '[:upper:]' '[:lower:]')
system=${SYSTEM:-$host}
case $system in
freebsd | linux) ;;
*) die "SYSTEM=$system is not known here; set it to freebsd or linux" ;;
esac

# It becomes part of sed scripts and of root's scripts.
prefix=${PREFIX:-/usr/local}
case $prefix in
/*[!A-Za-z0-9/._-]* | [!/]* | */) die "PREFIX=$prefix must be an absolute path of letters, digits and ._-/ without / at its end" ;;
esac
etc=$prefix/etc
[ "$system:$prefix" = linux:/usr ] && etc=/etc

# A program names its loader near its beginning.
is_for_freebsd() {
	[ -f "$1" ] && head -c 4096 "$1" | grep -aq /libexec/ld-elf.so.1
}

# One tree may hold the programs of both systems.
target=${CARGO_TARGET_DIR:-$here/../target}
built=$target/release/portcullis
crossed=$target/x86_64-unknown-freebsd/release/portcullis
[ "$system" = freebsd ] && ! is_for_freebsd "$built" && is_for_freebsd "$crossed" && built=$crossed
binary=${BINARY:-$built}
if [ "$action" = install ]; then
	[ -f "$binary" ] ||
		die "there is no $binary; build it first: cargo build --release (or .ci/freebsd on Linux for FreeBSD)"
	[ "$system" = linux ] || [ -n "${BINARY:-}" ] || is_for_freebsd "$binary" ||
		die "$binary is no program for FreeBSD; build that first: cargo build --release there, or .ci/freebsd on Linux"
fi

### How a thing is put in its place, or removed

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# folder MODE PATH: a folder that is already there keeps its mode.
folder() {
	[ "$action" = install ] || return 0
	[ -d "$destdir$2" ] || install -d -m "$1" "$destdir$2"
}

# own_folder MODE PATH: one that nobody else uses; goes with us when it is empty.
own_folder() {
	if [ "$action" = uninstall ]; then
		rmdir "$destdir$2" 2>/dev/null || true
	else
		folder "$1" "$2"
	fi
}

# file MODE SOURCE PATH
file() {
	if [ "$action" = uninstall ]; then
		rm -f "$destdir$3"
		return 0
	fi
	folder 0755 "${3%/*}"
	install -m "$1" "$2" "$destdir$3"
}

# template MODE SOURCE PATH: with the paths of this installation written in.
template() {
	sed -e "s|@PREFIX@|$prefix|g" -e "s|@ETCDIR@|$etc|g" "$2" >"$scratch/template"
	file "$1" "$scratch/template" "$3"
}

# config MODE SOURCE PATH: PATH.sample always, PATH itself only where there is none; both are removed, PATH only
# while nobody has changed it.
config() {
	if [ "$action" = uninstall ]; then
		! cmp -s "$destdir$3.sample" "$destdir$3" || rm -f "$destdir$3"
	fi
	file "$1" "$2" "$3.sample"
	[ "$action:$real_configs" = install:yes ] || return 0
	[ -e "$destdir$3" ] || [ -h "$destdir$3" ] || install -m "$1" "$2" "$destdir$3"
}

### What there is

program() {
	file 0555 "$binary" "$prefix/sbin/portcullis"
	for rules in "$here"/../rules/*.yaml; do
		[ -f "$rules" ] && file 0444 "$rules" "$prefix/share/portcullis/rules/${rules##*/}"
	done
	own_folder 0755 "$prefix/share/portcullis/rules"
	own_folder 0755 "$prefix/share/portcullis"
}

manuals() {
	for page in "$here"/generated/man/*.[1-9]; do
		[ -f "$page" ] && file 0444 "$page" "$prefix/share/man/man${page##*.}/${page##*/}"
	done
	for page in portcullis.yaml.5 portcullis-rules.5; do
		template 0444 "$here/man/$page.in" "$prefix/share/man/man5/$page"
	done
	return 0
}

# completion SHELL NAME PATH: the one in contrib/generated, or else what the program itself prints.
completion() {
	text=$here/generated/completions/$2
	if [ "$action" = install ] && [ ! -f "$text" ]; then
		text=$scratch/$2
		"$binary" completions "$1" >"$text" 2>/dev/null && [ -s "$text" ] || return 0
	fi
	file 0444 "$text" "$3"
}

completions() {
	completion bash portcullis.bash "$prefix/share/bash-completion/completions/portcullis"
	completion zsh _portcullis "$prefix/share/zsh/site-functions/_portcullis"
	completion fish portcullis.fish "$prefix/share/fish/vendor_completions.d/portcullis.fish"
}

# The sample is written for FreeBSD; some lines of it are different on Linux: without `sources` what is there is read.
main_config() {
	sed -e "s|/usr/local/etc/portcullis|$etc/portcullis|g" \
		"$here/freebsd/portcullis.yaml.sample" >"$scratch/portcullis.yaml"
	if [ "$system" = linux ]; then
		sed -e 's|backend: pf$|backend: nftables|' -e 's|/var/db/portcullis|/var/lib/portcullis|' \
			-e '/^sources:$/,/^  messages: /s|^|#|' \
			"$scratch/portcullis.yaml" >"$scratch/linux.yaml"
		mv "$scratch/linux.yaml" "$scratch/portcullis.yaml"
	fi
	config 0644 "$scratch/portcullis.yaml" "$etc/portcullis/portcullis.yaml"
	own_folder 0755 "$etc/portcullis/rules.d"
	own_folder 0755 "$etc/portcullis"
}

# pf_table PATH: the file of bans that pf.conf names; without it pf loads nothing at all. So it outlives us, and empty.
pf_table() {
	if [ "$action" = uninstall ]; then
		[ ! -f "$destdir$1" ] || : >"$destdir$1"
	elif [ "$real_configs" = yes ] && [ ! -e "$destdir$1" ]; then
		install -m 0600 /dev/null "$destdir$1"
	fi
}

freebsd() {
	template 0555 "$here/freebsd/portcullis.in" "$prefix/etc/rc.d/portcullis"
	template 0555 "$here/freebsd/periodic/security/530.portcullis.in" "$prefix/etc/periodic/security/530.portcullis"
	config 0644 "$here/freebsd/newsyslog.conf.d/portcullis.conf" "$prefix/etc/newsyslog.conf.d/portcullis.conf"
	config 0644 "$here/freebsd/syslog.d/portcullis.conf" "$prefix/etc/syslog.d/portcullis.conf"
	examples=$prefix/share/examples/portcullis
	file 0444 "$here/freebsd/pf.conf.sample" "$examples/pf.conf.sample"
	file 0555 "$here/freebsd/ipfw.rules.sample" "$examples/ipfw.rules.sample"
	own_folder 0755 "$examples"
	own_folder 0711 /var/db/portcullis
	pf_table /var/db/portcullis/pf.table
}

linux() {
	template 0444 "$here/linux/portcullis.service.in" "$prefix/lib/systemd/system/portcullis.service"
	examples=$prefix/share/doc/portcullis/examples
	file 0444 "$here/linux/logrotate.d/portcullis" "$examples/logrotate.d/portcullis"
	file 0444 "$here/linux/rsyslog.d/portcullis.conf" "$examples/rsyslog.d/portcullis.conf"
	own_folder 0755 "$examples/logrotate.d"
	own_folder 0755 "$examples/rsyslog.d"
	own_folder 0755 "$examples"
	own_folder 0755 "$prefix/share/doc/portcullis"
	own_folder 0711 /var/lib/portcullis
	# Or nftables.conf would bring our last bans back at every boot.
	[ "$action" = install ] || rm -f "$destdir/var/lib/portcullis/table.nft"
}

# account: for the process that reads logs and decides. A package manager makes its own; without it that is nobody's.
account() {
	[ "$action" = install ] && [ -z "$destdir" ] && [ "$system" = "$host" ] && [ "$(id -u)" = 0 ] || return 0
	! id _portcullis >/dev/null 2>&1 || return 0
	case $system in
	freebsd)
		pw groupadd -n _portcullis &&
			pw useradd -n _portcullis -g _portcullis -c Portcullis -d /nonexistent -s /usr/sbin/nologin
		;;
	linux)
		useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin \
			--comment Portcullis _portcullis
		;;
	esac || printf 'install.sh: the account _portcullis could not be made; without it the daemon uses nobody\n' >&2
}

# The firewall is not ours: what was banned stays so, and after an update the old program still runs.
leftovers() {
	cat <<STEPS
Portcullis is removed${destdir:+ from $destdir}. Its bans stay in the firewall, and nothing ends them now. To end them:
STEPS
	case $system in
	freebsd) cat <<STEPS ;;
  pf:    pfctl -t portcullis -T flush      (and take its lines out of /etc/pf.conf)
  ipfw:  ipfw table portcullis flush       (and take its rule out of your firewall_script)
  State:         /var/db/portcullis
STEPS
	linux) cat <<STEPS ;;
  nft delete table inet portcullis
  State:         /var/lib/portcullis
STEPS
	esac
	cat <<STEPS
  Configuration: $etc/portcullis, if it was changed
  The account _portcullis
If the daemon still runs: $stop. (The table's name is that of \`firewall: {table: …}\`.)
STEPS
}

updated() {
	cat <<STEPS
Portcullis is updated${destdir:+ in $destdir}; your configuration is as it was. The old program runs until you restart it:
  portcullis check -c $etc/portcullis/portcullis.yaml && $restart
The bans stay meanwhile. New settings are in $etc/portcullis/portcullis.yaml.sample.
STEPS
}

next_steps() {
	cat <<STEPS
Portcullis is installed${destdir:+ in $destdir}. What is left to do:

  1. portcullis setup --write; read $etc/portcullis/portcullis.yaml: under \`allow\` belong your own addresses.
  2. portcullis check -c $etc/portcullis/portcullis.yaml
STEPS
	case $system in
	freebsd) cat <<STEPS ;;
  3. Block the table's addresses before any rule that lets them in:
       pf:    the lines of $prefix/share/examples/portcullis/pf.conf.sample, into /etc/pf.conf
       ipfw:  call $prefix/share/examples/portcullis/ipfw.rules.sample from your firewall_script
  4. newsyslog -CN && service syslogd reload      (the log files of syslog.d/portcullis.conf)
  5. sysrc portcullis_enable=YES && service portcullis start
STEPS
	linux) cat <<STEPS ;;
  3. systemctl daemon-reload && systemctl enable --now portcullis
     (its nftables table is its own; nothing in your ruleset has to change)
STEPS
	esac
	cat <<STEPS
  Then: portcullis status, portcullis bans.
  Locked out by mistake: portcullis unban ADDRESS, or stop it and portcullis unban --offline ADDRESS.
STEPS
}

case $system in
freebsd)
	stop="service portcullis stop"
	restart="service portcullis restart"
	;;
linux)
	stop="systemctl disable --now portcullis"
	restart="systemctl daemon-reload && systemctl restart portcullis"
	;;
esac

message=$action
[ "$action" != install ] || [ ! -e "$destdir$prefix/sbin/portcullis" ] || message=update
program
manuals
completions
main_config
"$system"
account
case $message in
uninstall) leftovers ;;
update) updated ;;
*) next_steps ;;
esac
