#!/bin/bash
# get-udocker.sh PREFIX APPTAINER_PREFIX
#
# udocker from the Python index with an engine made of Debian's packages, for Debian machines (amd64) that can't reach
# the place udocker downloads its engine from. PREFIX/bin/udocker is what is called.
#
# The engine is a tree udocker_dir/{bin,lib,doc} with a VERSION. Debian 12's proot 5.1 can't run programs of a newer
# libc ("cannot stat shared object"), hence the proot of a newer suite, put onto the libc that get-apptainer.sh left
# under APPTAINER_PREFIX. That proot must run without seccomp: execution mode P2 (P1 ends with 255 and no word).
#
#   PREFIX   absolute; it is baked into the programs, so install where it stays (world-readable)
set -euo pipefail

PREFIX=${1:?usage: get-udocker.sh PREFIX APPTAINER_PREFIX}
APPTAINER=${2:?usage: get-udocker.sh PREFIX APPTAINER_PREFIX}
case $PREFIX in /*) ;; *) echo "PREFIX must be absolute" >&2; exit 2 ;; esac
SUITE=${SUITE:-sid}
VERSION=1.3.17
KEY=/usr/share/keyrings/debian-archive-keyring.gpg
LIB=$APPTAINER/usr/lib/x86_64-linux-gnu
# the mirror that this machine's apt already uses for the distribution itself
MIRROR=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | grep -v -e security -e backports | sed -n 1p)}
# one that every account can enter: a Python under root's home is closed to others
PYTHON=${PYTHON:-/usr/bin/python3}

[ -e "$LIB/libc.so.6" ] || { echo "run get-apptainer.sh $APPTAINER first" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

engine() { # FILE
  local tree=$work/engine/udocker_dir package
  mkdir -p "$work"/lists/partial "$work"/cache/archives/partial "$tree"/{bin,lib,doc}
  : >"$work/status"
  echo "deb [signed-by=$KEY] $MIRROR $SUITE main" >"$work/sources.list"
  local apt=(-qq -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" -o Dir::State::status="$work/status"
    -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/nonexistent
    -o Acquire::Check-Valid-Until=false -o APT::Sandbox::User=root -o Acquire::Languages=none)
  apt-get "${apt[@]}" update
  (cd "$work" && apt-get "${apt[@]}" download proot libtalloc2)
  for package in "$work"/*.deb; do dpkg-deb -x "$package" "$work/packages"; done
  cp "$work/packages/usr/bin/proot" "$tree/bin/proot-x86_64"
  cp -a "$work"/packages/usr/lib/x86_64-linux-gnu/libtalloc.so.2* "$tree/lib/"
  # libtalloc is found under PREFIX/engine, wherever udocker unpacks the rest.
  mkdir -p "$work/stage/engine"
  cp -a "$tree"/lib/libtalloc.so.2* "$work/stage/engine/"
  patchelf --set-interpreter "$LIB/ld-linux-x86-64.so.2" --force-rpath --set-rpath "$PREFIX/engine:$LIB" "$tree/bin/proot-x86_64"
  # the name it looks for on kernels from 4.8
  cp "$tree/bin/proot-x86_64" "$tree/bin/proot-x86_64-4_8_0"
  # at least what this release of udocker asks for
  echo 1.2.11 >"$tree/lib/VERSION"
  tar -C "$work/engine" -czf "$1" udocker_dir
}

mkdir -p "$work/stage/bin"
engine "$work/stage/engine/udocker-engine.tar.gz"
"$PYTHON" -m pip --version >/dev/null 2>&1 || PIP=python3
"${PIP:-$PYTHON}" -m pip install -q --root-user-action=ignore --target "$work/stage/python" "udocker==$VERSION"
cat >"$work/stage/bin/udocker" <<END
#!$PYTHON
import os, sys
sys.dont_write_bytecode = True
os.environ.setdefault('UDOCKER_TARBALL', '$PREFIX/engine/udocker-engine.tar.gz')
os.environ.setdefault('UDOCKER_DEFAULT_EXECUTION_MODE', 'P2')
sys.path.insert(0, '$PREFIX/python')
from udocker.maincmd import main
sys.exit(main())
END
chmod 755 "$work/stage/bin/udocker"
# Compiled once here: those who run it can't write there.
"$PYTHON" -m compileall -q "$work/stage/python" || :
rm -rf "$PREFIX"
mkdir -p "${PREFIX%/*}"
cp -a "$work/stage" "$PREFIX"
chmod -R a+rX "$PREFIX"
