# Containers of a run: what launch texts call. Sourced, after processes.sh, mounts.sh, folders.sh and network.sh, by the
# scripts that start something, which set `run`, `task` (empty for a command beside the tasks) and `image`, and have joined
# the network of the run.
#
# A job's processes may exchange a folder of scratch for a link at any moment, also between a look at it and the moment in
# which the runtime opens it. So what is bound is mounted first, in a namespace where that can be done, at a path that the
# job can't touch (bind.sh); or nothing else of the run goes on meanwhile.

# inside SOURCE: sets `inside` to the real path of a folder in scratch, made if it is missing. It is true of that moment.
inside() { inside=$(enter "$PWD/$run/home" "$1" make && can_be_bound "$here" && printf %s "$here"); }

# in_mount FOLDER: the same of the storage that is mounted for the run, which must be there.
in_mount() { stored "$run" "$1"; }

# held FROM SOURCE WORDS: sets `inside` to a path that will be that folder of scratch or storage, and stays it. WORDS are the
# first arguments of bind.sh for it, quoted.
mounts= program=
held() {
  if ! has_own_mounts; then alone "$1" "$2"; return; fi
  number=0
  mkdir -p "$run/binds"
  until mkdir "$run/binds/$number" 2>/dev/null; do
    [ $((number += 1)) -lt 10000 ] || return 1
  done
  inside=$PWD/$run/binds/$number
  mounts="$mounts $3 $number"
}

# alone FROM SOURCE: `inside` or `in_mount`, as long as nobody is there who could exchange what they found.
alone() {
  for other in "$run"/tasks/*; do
    [ "$other" != "$task" ] && [ -e "$other/started" ] && [ ! -e "$other/exit.json" ] && [ ! -e "$other/lost" ] || continue
    not_alone
    return 1
  done
  for other in "$run"/execs/*; do
    [ "$other" != "${command:-}" ] && [ -e "$other" ] || continue
    other=${other##*/}
    if is_alive "${other%.*}" "${other#*.}"; then not_alone; return 1; fi
  done
  if [ "$1" = mount ]; then in_mount "$2"; else inside "$2"; fi
}

not_alone() { echo 'this machine can bind folders of the job only while nothing else of the job runs on it' >&2; }

# has_own_mounts: an ordinary user has mount namespaces here; podman has one of its own. Sets `counted` where the kernel counts
# processes for each user namespace. The probe tried it.
has_own_mounts() {
  boot_id
  has_them= counted=
  { read -r has_them counted <own-mounts; } 2>/dev/null
  [ "$program" = podman ] || [ "$has_them" = "$boot" ]
}

# variables: exports the task's, with `prefix` in front of their names. Launch texts say it anew. What is called after it is
# the runtime, and nothing else: no program of ours has the task's variables.
variables() { :; }

# image_environment: has the image's own variables arrive as the image has them: sets `options` of the runtime for that,
# and adds to the names that are spoiled on the way.
image_environment() {
  find_apptainer
  variables_file=images/${image%.*}.env
  if [ ! -e "$variables_file" ]; then
    . "${0%/*}/image-environment.sh"
    write_image_environment "$run/$image" >"$variables_file.$$" && mv "$variables_file.$$" "$variables_file" || {
      rm -f "$variables_file.$$"
      echo 'the environment of the image could not be read' >&2
      exit 255
    }
  fi
  options=
  [ ! -s "$variables_file" ] || {
    { IFS='#' read -r _ more; IFS='#' read -r _ others; } <"$variables_file"
    spoiled="$spoiled $more" spoiled_by_shells="$spoiled_by_shells $others"
    options="--bind=$PWD/$variables_file:/.singularity.d/env/10-docker2singularity.sh:ro"
  }
}

# find_apptainer: sets `runtime`, and `prefix` to what it wants in front of variables.
find_apptainer() {
  runtime=apptainer prefix=APPTAINERENV_
  command -v apptainer >/dev/null || runtime=singularity prefix=SINGULARITYENV_
  [ ! -d apptainer ] || export APPTAINER_CONFIGDIR="$PWD/apptainer"
}

# restoring: sets `restoring` to a line for a shell in the container, which gives variables back their names, and becomes
# its own words. A value is never a word of a program, but for what shells won't have: those are told to `env`, which is
# gone in a moment. Fails where no name is spoiled (spoiled-names.sh).
restoring() {
  restoring= words= kept=
  for name in $spoiled; do
    kept="$kept PROMINENCE_ENV_$name"
    restoring="${restoring}export $name=\"\$PROMINENCE_ENV_$name\"; "
  done
  for name in $spoiled_by_shells; do
    kept="$kept PROMINENCE_ENV_$name"
    words="$words $name=\"\$PROMINENCE_ENV_$name\""
  done
  [ -n "$kept" ] || return 1
  [ -z "$words" ] || restoring="${restoring}set -- env$words \"\$@\"; "
  restoring="${restoring}unset$kept; exec \"\$@\""
}

# contained VERB [ARGUMENT...] in place of this process: what the launch text ends with.
contained() {
  verb=$1
  shift
  # What was mounted in a user's namespace, and the network of one, can only be seen and entered as that user.
  if has_own_mounts; then own=1; else own=; fi
  [ -z "$own$within" ] || set -- --userns "$@"
  [ -z "$name_servers" ] || set -- --dns "$(printf '%s' "$name_servers" | tr ' ' ,)" "$@"
  find_apptainer
  set -- "$runtime" -s "$verb" --containall --no-eval ${options:+"$options"} \
    --home "$PWD/$run/home:/home/user" --bind "$PWD/$run/tmp:/tmp" --bind "$PWD/$run/var-tmp:/var/tmp" "$@"
  if [ -n "$own" ]; then
    account=$(id -u) group=$(id -g)
    [ -z "$counted" ] || set -- prlimit "--nproc=$processes_at_all" "$@"
    [ -z "$counted$mounts" ] || set -- unshare --user "--map-user=$account" "--map-group=$group" "$@"
    [ -z "$mounts" ] || eval "set -- unshare --user --map-root-user --mount sh \"\${0%/*}/bind.sh\" \"\$run\" $mounts -- \"\$@\""
  fi
  variables
  # shellcheck disable=SC2086
  exec $within setsid nice -n "$niceness" "$@"
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
  # What is shared in memory is the run's own too, and goes with it.
  mkdir -p "$run/shm"
  account=$(id -un)
}

# contained_udocker OPTION... -- [WORD...], the same with udocker.
contained_udocker() {
  if [ -n "$name_servers" ]; then
    # shellcheck disable=SC2086
    printf 'nameserver %s\n' $name_servers >"$run/resolv.conf"
    set -- "--volume=$PWD/$run/resolv.conf:/etc/resolv.conf" "$@"
  fi
  prefix=UDOCKERENV_
  export CONTAINER_NICENESS="$niceness" CONTAINER_PROCESSES="$processes_at_all"
  variables
  # shellcheck disable=SC2086
  exec $within setsid $python "${0%/*}/udocker.py" "$udocker" "$container" --hostauth "--user=$account" \
    "--volume=$PWD/$run/home:/home/user" "--volume=$PWD/$run/tmp:/tmp" "--volume=$PWD/$run/var-tmp:/var/tmp" \
    "--volume=$PWD/$run/shm:/dev/shm" "$@"
}

# engine_for PROGRAM: makes podman or docker ready, and sets `tag` to the name that it knows the image by.
engine_for() {
  . "${0%/*}/engine.sh"
  find_engine "$1" || { echo "this machine has no $1 any more" >&2; exit 255; }
  tag=$own_images:${image%.*}
  mkdir -p containers "$1"
  has_own_mounts
  # Its daemon has a cgroup for each container, and limits of its own.
  pids=
  [ "$program" != docker ] || pids="--pids-limit=$processes_at_all --ulimit=nofile=$most_files:$most_files"
  container_limits=${counted:+nproc=$processes_at_all:$processes_at_all}
  identity
}

# contained_by_engine OPTION... IMAGE [WORD...], the same with either of them. No capability is given, and none can be had.
contained_by_engine() {
  # What is mounted there stays until its folder is removed.
  [ -z "$mounts" ] || eval "engine unshare sh \"\${0%/*}/bind.sh\" \"\$run\" $mounts --" || exit 255
  [ -z "$passwd" ] || set -- "--volume=$passwd:/etc/passwd:ro" "$@"
  # shellcheck disable=SC2046,SC2086
  [ -z "$name_servers" ] || set -- $(printf -- '--dns=%s ' $name_servers) "$@"
  # A view of its own of /sys could only be had by who owns the network's namespace.
  [ -z "$network_file" ] || set -- --volume=/sys:/sys:ro "$@"
  prefix=ENGINEENV_
  variables
  export CONTAINER_NICENESS="$niceness"
  launcher="exec setsid $python ${0%/*}/engine.py prominence-$own-${run#runs/}"
  # shellcheck disable=SC2086
  engine run --init --pull=never "--network=${network_file:+ns:}${network_file:-host}" --log-driver=none --cap-drop=ALL --shm-size="${memory}k" \
    --security-opt=no-new-privileges --security-opt=label=disable $user $pids --env=HOME=/home/user \
    "--label=prominence=$own" "--volume=$PWD/$run/home:/home/user" "--volume=$PWD/$run/tmp:/tmp" \
    "--volume=$PWD/$run/var-tmp:/var/tmp" "$@"
}
