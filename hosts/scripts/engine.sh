# podman and docker, where a site says that one of them runs what jobs call singularity or udocker. They keep images and
# containers themselves, under names that tell whose they are: another work directory may use the same daemon. What has
# been started is told by a file containers/PID.TICKS of the process that waits for it, as the containers are no
# children of ours. Sourced by the other scripts.
#
# Images are made by our own reader (oci.py) and loaded under a name with the work directory's mark and the image's id. engine.py
# waits for a container, keeps its record from before it is made until it is removed, and is what is told to kill it;
# whoever finds a record without its process removes the container (sweep.sh). podman's store is in the work directory, and
# the account keeps its uid there (`keep-id`); where docker's daemon is rootless, the account is root in the container. The
# root of a container is read-only for what jobs call singularity, and thrown away after each task for udocker. Exit codes are the
# engine's own: 125 is its failure, 1 (catatonit) or 127 (tini) a program that is not in the image.

# find_engine NAME: sets `program`, `python`, `own` (this work directory's mark) and `own_images` (what its images are called), and
# makes the engine ready to be called. Fails where there is no such program, or no Python 3.
find_engine() {
  program=$1
  command -v "$program" >/dev/null || return 1
  python=$(command -v python3) || { python=/usr/libexec/platform-python && [ -x "$python" ]; } || return 1
  own=$(printf '%s' "$PWD" | sha256sum)
  own=${own%"${own#????????????}"}
  own_images=localhost/prominence-$own
  [ "$program" != podman ] || podman_folders
}

# podman_folders: what it keeps for ever is in the work directory. What must not outlive a boot is in a short path, as
# sockets are made there, and not in the session's own folder, which goes away with the last connection of the account.
podman_folders() {
  XDG_RUNTIME_DIR=/tmp/podman-run-$(id -u)-$own
  mkdir -m 700 "$XDG_RUNTIME_DIR" 2>/dev/null
  [ -d "$XDG_RUNTIME_DIR" ] && [ ! -L "$XDG_RUNTIME_DIR" ] && [ -O "$XDG_RUNTIME_DIR" ] || return 1
  boot_id
  this_boot=$XDG_RUNTIME_DIR/boot-$boot waits=0
  if mkdir "$this_boot" 2>/dev/null; then
    for earlier in "$XDG_RUNTIME_DIR"/*; do [ "$earlier" = "$this_boot" ] || rm -rf "$earlier"; done
    : >"$this_boot/clean"
  fi
  while [ ! -e "$this_boot/clean" ] && [ "$waits" -lt 50 ]; do sleep 0.1; waits=$((waits + 1)); done
  { [ -d "${HOME:-}" ] && [ -w "$HOME" ]; } || HOME=$PWD/podman
  mkdir -p "$PWD/podman" || return 1
  export HOME XDG_RUNTIME_DIR
}

# engine WORD...: the program with what is the same for every command. `launcher` may hold words to stand in front.
engine() {
  case $program in
    # No cgroup is made for a container: there may be no session of systemd, and limits are watched by the supervisor.
    podman)
      ${launcher:-} podman "--root=$PWD/podman/storage" --cgroup-manager=cgroupfs --events-backend=none \
        --log-level=error "$@"
      ;;
    docker) ${launcher:-} docker "$@" ;;
  esac
}

# has_image TAG: 0 it is there, 1 it is not, 2 the engine does not say.
has_image() {
  listed=$(engine images -q "$own_images:$1" </dev/null) || return 2
  [ -n "$listed" ]
}

# drop_container NAME: whatever its state; fails where it may still be there. What stands at its end is its name.
drop_container() {
  engine rm -f -v "$1" >/dev/null 2>&1 </dev/null
  remaining=$(engine ps -a --filter "label=prominence=$own" --format '{{.Names}}' </dev/null 2>/dev/null) || return 1
  case " $(echo $remaining) " in *" $1 "*) return 1 ;; esac
}

# identity: sets `user` to options that make the container's processes those of the account, on this machine as well, and
# `passwd` to a file that tells of the account, where the engine makes none itself.
identity() {
  mode= passwd=
  case $program in
    podman) user="--rm --userns=keep-id --user=$(id -u):$(id -g) --ulimit=${container_limits:-host}" ;;
    docker)
      # What the daemon is was asked by the probe.
      { read -r mode <docker/mode; } 2>/dev/null
      case $mode in
        # The account is root of the container there, and everybody else is somebody else outside. Open MPI wants to hear
        # that this is meant.
        rootless) user='--user=0:0 --env=OMPI_ALLOW_RUN_AS_ROOT=1 --env=OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1' ;;
        *)
          # Programs look up who they are, as those of MPI do.
          passwd=$PWD/docker/passwd
          printf '%s\n' root:x:0:0:root:/root:/bin/sh "$(id -un):x:$(id -u):$(id -g)::/home/user:/bin/sh" >"$passwd.$$" &&
            mv "$passwd.$$" "$passwd"
          user=--user=$(id -u):$(id -g)
          ;;
      esac
      ;;
  esac
}
