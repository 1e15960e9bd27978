# common.sh: what quickstart and check share. Sourced, not run.
# shellcheck shell=bash disable=SC2034 # who sources it uses what it defines

# Packages to build segue, and to run it with a database of its own.
BUILD_PACKAGES=(gcc libc6-dev make autoconf automake pkg-config libsofia-sip-ua-dev libpq-dev
	libconfig-dev libjansson-dev liblmdb-dev libssl-dev libmicrohttpd-dev
	libcrypt-dev libcurl4-openssl-dev zlib1g-dev uthash-dev libcmocka-dev python3)
DATABASE_PACKAGES=(postgresql-15 postgresql-client-15)
MEDIA_PACKAGES=(rtpengine-daemon espeak-ng)
# What the tests run besides: SIPp, real softphones, clang for the fuzzers, node and a browser for the
# panel, ffmpeg for recordings in other codecs than G.711.
TEST_PACKAGES=(openssl sip-tester linphone-cli baresip-core twinkle-console clang libclang-rt-14-dev
	nodejs chromium ffmpeg libsrtp2-1)

say() {
	printf '%s\n' "$*"
}

# die MESSAGE ADVICE: ends with what went wrong and what to do about it.
die() {
	printf '\nFAILED: %s\n' "$1" >&2
	printf '  what to do: %s\n' "$2" >&2
	exit 1
}

# as_root COMMAND...: directly as root, else through sudo.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

# missing_packages PACKAGE...: those of them that are not installed.
missing_packages() {
	local p
	for p in "$@"; do
		case "$(dpkg-query -W -f '${db:Status-Abbrev}' "$p" 2>/dev/null)" in
		ii*) ;;
		*) echo "$p" ;;
		esac
	done
}

# The server package would create and start a cluster for the whole system; segue brings its own.
# A snippet says so to postgresql-common while we install, and is removed again.
NO_CLUSTER=/etc/postgresql-common/createcluster.d/segue-install.conf

no_system_cluster() {
	as_root mkdir -p "$(dirname "$NO_CLUSTER")"
	printf 'create_main_cluster = false\n' | as_root tee "$NO_CLUSTER" >/dev/null
}

# The package of rtpengine would start it for the whole system, now and at each boot; segue brings its
# own. While we install, no service starts, unless the system has its own say in that already.
NO_SERVICE=/usr/sbin/policy-rc.d

no_services() {
	[ -e "$NO_SERVICE" ] && return
	printf '#!/bin/sh\n# made by segue while it installs packages\nexit 101\n' |
		as_root tee "$NO_SERVICE" >/dev/null
	as_root chmod 755 "$NO_SERVICE"
}

services_again() {
	if grep -qs 'made by segue' "$NO_SERVICE"; then
		as_root rm "$NO_SERVICE"
	fi
	as_root update-rc.d rtpengine-daemon disable >>"$1" 2>&1
}

# install_packages LOG PACKAGE...: installs what is missing; output goes to LOG.
install_packages() {
	local log=$1 missing
	shift
	mapfile -t missing < <(missing_packages "$@")
	if [ ${#missing[@]} = 0 ]; then
		say "    all packages are installed"
		return
	fi
	say "    installing: ${missing[*]}"
	command -v apt-get >/dev/null || die "this is no Debian: there is no apt-get" \
		"install by hand what corresponds to: ${missing[*]}"
	if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
		die "packages are missing, this is not root, and there is no sudo" \
			"run as root: apt-get install ${missing[*]}"
	fi
	if [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null && [ ! -t 0 ]; then
		die "packages are missing and sudo asks for a password" \
			"run as root: apt-get install ${missing[*]}"
	fi
	apt_get "$log" update -q || die "apt-get update failed, see $log" \
		"check the network and the package sources of this machine, then run this again"
	case " ${missing[*]} " in
	*" postgresql-15 "*)
		apt_get "$log" install -y --no-install-recommends postgresql-common ||
			die "installing postgresql-common failed, see $log" "read the end of $log"
		no_system_cluster
		;;
	esac
	case " ${missing[*]} " in
	*" rtpengine-daemon "*) no_services ;;
	esac
	local ok=0
	apt_get "$log" install -y --no-install-recommends "${missing[@]}" || ok=1
	if [ -e "$NO_CLUSTER" ]; then
		as_root rm "$NO_CLUSTER"
		as_root rmdir --ignore-fail-on-non-empty "$(dirname "$NO_CLUSTER")"
	fi
	case " ${missing[*]} " in
	*" rtpengine-daemon "*) services_again "$log" ;;
	esac
	[ $ok = 0 ] || die "apt-get install failed, see $log" \
		"read the end of $log; 'apt-get -f install' often helps"
}

apt_get() {
	local log=$1
	shift
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 "$@" \
		>>"$log" 2>&1
}

# prepare_source SRC LOG: makes configure if it is missing or older than what it is made from.
prepare_source() {
	local src=$1 log=$2
	if [ -e "$src/configure" ] && [ -z "$(find "$src/configure.ac" "$src/Makefile.am" \
		"$src"/src/*/local.mk "$src"/tests/*/local.mk -newer "$src/configure" \
		2>/dev/null)" ]; then
		say "    configure is up to date"
		return
	fi
	(cd "$src" && autoreconf -fi) >>"$log" 2>&1 ||
		die "autoreconf failed, see $log" "read the end of $log; is $src writable?"
}
