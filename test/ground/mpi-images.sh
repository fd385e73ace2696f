#!/bin/bash
# mpi-images.sh DIRECTORY [openmpi|mpich ...]
#
# Small real images of Open MPI and MPICH, built from Debian's packages, each with a test program in /opt/mpi (hello,
# ring): DIRECTORY/NAME.tar is a docker archive. What is there is not built again. Run as root: mmdebstrap and umoci
# want real ownership. Takes about a minute for each.
set -euo pipefail
DIRECTORY=$(mkdir -p "$1" && cd "$1" && pwd)
shift
SUITE=${SUITE:-bookworm}
# the mirror that this machine's apt already uses for the distribution itself
MIRROR=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | grep -v -e security -e backports | sed -n 1p)}
work=$(mktemp -d "$DIRECTORY/.mpi-XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT

debian_root() { # TARGET PACKAGE...; docs, locales and package lists left out
  local target=$1
  shift
  mmdebstrap --quiet --variant=minbase --include="$(IFS=,; echo "$*")" \
    --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin "$1"/var/cache/debconf/*-old' \
    "$SUITE" "$target" "$MIRROR"
}

# The name it is called by, or its first argument, says what it does; `hello` also shows what it was given.
program() {
  cat <<'C'
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int count, char **words) {
  int rank, size;
  MPI_Init(&count, &words);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  const char *name = strrchr(words[0], '/') ? strrchr(words[0], '/') + 1 : words[0];
  if (!strcmp(name, "ring")) {
    int token = 0, rounds = 20;
    for (int i = 0; i < rounds && size > 1; i++) {
      if (rank) MPI_Recv(&token, 1, MPI_INT, rank - 1, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
      token++;
      MPI_Send(&token, 1, MPI_INT, (rank + 1) % size, 0, MPI_COMM_WORLD);
      if (!rank) MPI_Recv(&token, 1, MPI_INT, size - 1, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    }
    if (!rank) printf("ring size=%d token=%d expected=%d\n", size, token, size * rounds);
  } else {
    int one = 1, sum = 0;
    MPI_Allreduce(&one, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    const char *greeting = getenv("GREETING"), *threads = getenv("OMP_NUM_THREADS");
    printf("hello rank=%d size=%d sum=%d threads=%s greeting=<%s>", rank, size, sum, threads ? threads : "none",
           greeting ? greeting : "");
    for (int i = 1; i < count; i++) printf(" <%s>", words[i]);
    printf("\n");
  }
  MPI_Finalize();
  return 0;
}
C
}

# The compiler is needed for the test program only: the images come without it.
compile() {
  [ ! -x "$work/program-mpich" ] || return 0
  debian_root "$work/build" gcc libc6-dev libopenmpi-dev libmpich-dev
  program >"$work/build/tmp/program.c"
  local flavour
  for flavour in openmpi mpich; do
    chroot "$work/build" "mpicc.$flavour" -O2 -o "/tmp/program-$flavour" /tmp/program.c
    cp "$work/build/tmp/program-$flavour" "$work/"
  done
  rm -rf --one-file-system "$work/build"
}

build() { # NAME PACKAGE
  local layout=$work/layout-$1 bundle=$work/bundle-$1 root=$work/root-$1 file
  compile
  debian_root "$root" "$2" procps
  mkdir -p "$root/opt/mpi"
  cp "$work/program-$1" "$root/opt/mpi/hello"
  ln -s hello "$root/opt/mpi/ring"
  for file in hosts resolv.conf hostname localtime; do [ -e "$root/etc/$file" ] || : >"$root/etc/$file"; done
  {
    umoci init --layout "$layout"
    umoci new --image "$layout:latest"
    umoci unpack --image "$layout:latest" "$bundle"
    rmdir "$bundle/rootfs"
    mv "$root" "$bundle/rootfs"
    umoci repack --image "$layout:latest" "$bundle"
    umoci config --image "$layout:latest" --config.cmd /bin/bash --os linux --architecture amd64 \
      --config.env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    skopeo copy "oci:$layout:latest" "docker-archive:$work/$1.tar:test/$1:latest"
  } >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
  rm -rf --one-file-system "$bundle" "$layout"
  chmod 644 "$work/$1.tar"
  mv "$work/$1.tar" "$DIRECTORY/$1.tar"
}

for name in "${@:-openmpi}"; do
  [ -s "$DIRECTORY/$name.tar" ] && continue
  case $name in
    openmpi) build openmpi openmpi-bin ;;
    mpich) build mpich mpich ;;
    *) echo "no such image: $name" >&2; exit 2 ;;
  esac
done
