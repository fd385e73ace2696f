#!/bin/bash
# get-apptainer.sh PREFIX [SUITE]
#
# Puts a working apptainer under PREFIX on Debian (amd64), with apt alone.
#
# Of the Debian suites only the newest carry apptainer, and that build wants a newer libc
# than a stable release has. So the packages of the newer suite are taken apart under
# PREFIX, and just the two apptainer programs are pointed at the libc beside them.
# The host's own libc, apt sources and dpkg database are not changed. The helpers apptainer
# starts (squashfuse, mksquashfs, newuidmap ...) are the host's, so LD_LIBRARY_PATH must
# not be used.
#
#   PREFIX   absolute; it is baked into the programs, so install where it stays
#            (world-readable: ordinary accounts must be able to enter it)
#   SUITE    default: the first of SUITES (below) that carries apptainer
#
# Run as root (apt-get install, chmod of /dev/fuse). Does nothing when PREFIX already
# holds a working copy. Afterwards: PREFIX/usr/bin/apptainer
set -euo pipefail

PREFIX=${1:?usage: get-apptainer.sh PREFIX [SUITE]}
case $PREFIX in /*) ;; *) echo "PREFIX must be absolute" >&2; exit 2 ;; esac
WANT=${2:-}
SUITES=${SUITES:-"bookworm bookworm-backports trixie trixie-backports forky sid"}
KEY=/usr/share/keyrings/debian-archive-keyring.gpg
LIB=usr/lib/x86_64-linux-gnu
AP=$PREFIX/usr/bin/apptainer
# the mirror that this machine's apt already uses for the distribution itself
MIRROR=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | grep -v -e security -e backports | sed -n 1p)}
say() { printf '%s\n' "$*" >&2; }
apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@" >/dev/null
}

install_helpers() {
  local need=() p
  for p in squashfuse:squashfuse_ll fuse2fs:fuse2fs fuse-overlayfs:fuse-overlayfs \
    uidmap:newuidmap squashfs-tools:mksquashfs patchelf:patchelf fuse3:fusermount3; do
    command -v "${p#*:}" >/dev/null || need+=("${p%%:*}")
  done
  [ ${#need[@]} -eq 0 ] && return
  say "installing what apptainer calls: ${need[*]}"
  # a fresh machine has no package lists yet
  apt_install "${need[@]}" || { apt-get -qq update; apt_install "${need[@]}"; }
}

# Ordinary accounts need /dev/fuse, or every image is unpacked into a temporary folder at
# each start. Some virtual machines come with mode 600; udev's usual mode is 666.
open_fuse() {
  if [ -c /dev/fuse ] && [ "$(stat -c %a /dev/fuse)" != 666 ]; then chmod 666 /dev/fuse; fi
}

# An apt of our own: separate lists, cache and (empty) status. Sets APT, fetches the lists.
apt_of_suite() {
  local d=$work/$1
  mkdir -p "$d"/lists/partial "$d"/cache/archives/partial
  : >"$d/status"
  echo "deb [signed-by=$KEY] $MIRROR $1 main" >"$d/sources.list"
  APT=(-o Dir::State::lists="$d/lists" -o Dir::Cache="$d/cache" -o Dir::State::status="$d/status"
    -o Dir::Etc::sourcelist="$d/sources.list" -o Dir::Etc::sourceparts=/nonexistent
    -o Acquire::Check-Valid-Until=false -o APT::Sandbox::User=root -o Acquire::Languages=none)
  apt-get -qq "${APT[@]}" update
}

choose_suite() { # leaves APT set for the suite in $found
  local s v
  for s in ${WANT:-$SUITES}; do
    apt_of_suite "$s" 2>/dev/null || { say "$s: no lists"; continue; }
    v=$(apt-cache "${APT[@]}" policy apptainer 2>/dev/null | sed -n 's/ *Candidate: //p')
    say "$s: ${v:-no apptainer}"
    if [ -n "$v" ] && [ "$v" != "(none)" ]; then found=$s; return; fi
  done
  say "no suite carries apptainer"
  exit 1
}

unpack() {
  local d stage=$PREFIX.new.$$ ld b
  mkdir -p "$work/debs"
  (cd "$work/debs" && apt-get -qq "${APT[@]}" download apptainer libc6 libseccomp2 libsqlite3-0 zlib1g libgcc-s1)
  rm -rf "$stage"
  mkdir -p "$stage"
  for d in "$work"/debs/*.deb; do dpkg-deb -x "$d" "$stage"; done
  rm -rf "$stage"/usr/share/{doc,man,locale,lintian} "$stage/$LIB/gconv"
  # apptainer finds its own prefix from where the program lies, then looks for its settings in
  # PREFIX/usr/{etc,var} or, in the starter, beside usr/lib
  cp -a "$stage/etc" "$stage/usr/etc"
  mkdir -p "$stage/usr/var"
  cp -a "$stage/var/lib" "$stage/usr/var/lib" 2>/dev/null || mkdir -p "$stage/usr/var/lib"
  mkdir -p "$stage"/usr/var/lib/apptainer/mnt/session "$stage"/var/lib/apptainer/mnt/session
  ln -sfn ../var "$stage/usr/lib/var"
  ln -sfn ../etc "$stage/usr/lib/etc"
  # --force-rpath: a DT_RPATH is inherited by the libraries' own look-ups, so libsqlite3 and
  # libseccomp need no patching of their own
  ld=$(cd "$stage" && find usr -name ld-linux-x86-64.so.2 \( -type f -o -type l \) | grep lib/x86_64 | head -1)
  : "${ld:=usr/lib64/ld-linux-x86-64.so.2}"
  for b in usr/bin/apptainer "$LIB/apptainer/bin/starter"; do
    patchelf --set-interpreter "$PREFIX/$ld" --force-rpath --set-rpath "$PREFIX/$LIB" "$stage/$b"
  done
  rm -rf "$PREFIX"
  mv "$stage" "$PREFIX"
  chmod -R a+rX "$PREFIX"
}

install_helpers
open_fuse
if ! "$AP" --version >/dev/null 2>&1; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  chmod 755 "$work"
  choose_suite
  unpack
fi
say "$("$AP" --version) in $PREFIX"
