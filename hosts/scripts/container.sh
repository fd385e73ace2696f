# Containers of a run: what launch texts call. Sourced, after mounts.sh, folders.sh and network.sh, by the scripts that start
# something, which set `run` and `image`, and have joined the network of the run.

# inside SOURCE: sets `inside` to the real path of a folder in scratch, made if it is missing. The runtime opens that path
# once more, and can't be given a folder that is open: one that a sidecar exchanges in these moments goes unnoticed.
inside() { inside=$(enter "$PWD/$run/home" "$1" make && can_be_bound "$here" && printf %s "$here"); }

# in_storage FOLDER: the same of the storage that is mounted for the run, which must be there.
in_storage() { stored "$run" "$1"; }

# contained VERB [ARGUMENT...] in place of this process: what the launch text ends with. `options` go to the runtime.
contained() {
  verb=$1
  shift
  runtime=apptainer
  command -v apptainer >/dev/null || runtime=singularity
  [ ! -d apptainer ] || export APPTAINER_CONFIGDIR="$PWD/apptainer"
  # The network is one of a user namespace, which the runtime can only enter as an ordinary user.
  [ -z "$within" ] || set -- --userns "$@"
  [ -z "$name_servers" ] || set -- --dns "$(printf '%s' "$name_servers" | tr ' ' ,)" "$@"
  # shellcheck disable=SC2086
  exec $within setsid "$runtime" -s "$verb" --containall --no-eval \
    --home "$PWD/$run/home:/home/user" --bind "$PWD/$run/tmp:/tmp" "$@"
}

# unpacked: sets `container` to a container of this run's own, for udocker. The tasks of the run share it.
unpacked() {
  . "${0%/*}/udocker.sh"
  find_udocker || { echo 'this machine has no udocker any more' >&2; exit 255; }
  container_home=$PWD/$run/udocker-${image%.*}
  if [ ! -d "$container_home" ]; then
    mkdir -p "$container_home.$$/containers" && tar -xf "$run/$image" -C "$container_home.$$/containers" ||
      { echo 'the image could not be unpacked' >&2; exit 255; }
    mv -T "$container_home.$$" "$container_home" 2>/dev/null || rm -rf "$container_home.$$"
  fi
  udocker_at "$container_home"
  for container in "$container_home"/containers/*; do :; done
  container=${container##*/}
}

# contained_udocker OPTION... -- [WORD...], the same with udocker.
contained_udocker() {
  # What is shared in memory is the run's own too, and goes with it.
  mkdir -p "$run/shm"
  if [ -n "$name_servers" ]; then
    printf 'nameserver %s\n' $name_servers >"$run/resolv.conf"
    set -- "--volume=$PWD/$run/resolv.conf:/etc/resolv.conf" "$@"
  fi
  # shellcheck disable=SC2086
  exec $within setsid $python "${0%/*}/udocker.py" "$udocker" "$container" --hostauth "--user=$(id -un)" \
    "--volume=$PWD/$run/home:/home/user" "--volume=$PWD/$run/tmp:/tmp" "--volume=$PWD/$run/shm:/dev/shm" "$@"
}

# engine_for PROGRAM: makes podman or docker ready, and sets `tag` to the name that it knows the image by.
engine_for() {
  . "${0%/*}/engine.sh"
  find_engine "$1" || { echo "this machine has no $1 any more" >&2; exit 255; }
  tag=$own_images:${image%.*}
  mkdir -p containers "$1"
}

# contained_by_engine OPTION... IMAGE [WORD...], the same with either of them. No capability is given, and none can be had.
contained_by_engine() {
  identity
  [ -z "$passwd" ] || set -- "--volume=$passwd:/etc/passwd:ro" "$@"
  [ -z "$name_servers" ] || set -- $(printf -- '--dns=%s ' $name_servers) "$@"
  # A view of its own of /sys could only be had by who owns the network's namespace.
  [ -z "$network_file" ] || set -- --volume=/sys:/sys:ro "$@"
  launcher="exec setsid $python ${0%/*}/engine.py prominence-$own-${run#runs/}"
  # shellcheck disable=SC2086
  engine run --init --pull=never "--network=${network_file:+ns:}${network_file:-host}" --log-driver=none --cap-drop=ALL --shm-size="${memory}k" \
    --security-opt=no-new-privileges --security-opt=label=disable $user --env=HOME=/home/user \
    "--label=prominence=$own" "--volume=$PWD/$run/home:/home/user" "--volume=$PWD/$run/tmp:/tmp" "$@"
}
