# probe.sh SINGULARITY UDOCKER NETWORK [HOST:PORT...]
#
# Says what the machine is, as `key value` lines, and makes the folders of the work directory. The arguments are the
# programs that run what jobs call so: apptainer, udocker, podman or docker, or none; the networks that jobs are to have, `isolated`,
# `none`, `host`, or `auto`: isolated where that can be had; and what jobs must reach wherever it is.
set -u
umask 022
. "${0%/*}/processes.sh"
. "${0%/*}/mounts.sh"
. "${0%/*}/udocker.sh"
. "${0%/*}/engine.sh"
. "${0%/*}/network.sh"
case $PWD in *[:,\"]*) echo "the work directory must not contain : , or \" ($PWD)" >&2; exit 1 ;; esac
mkdir -p runs removed watches images/index images/digests images/sources images/locks images/tmp apptainer || exit 1
chmod 700 . || exit 1

echo "hostname $(uname -n)"
echo "boot $(cat /proc/sys/kernel/random/boot_id)"
echo "cpus $(nproc)"
while read -r key value _; do
  [ "$key" != MemTotal: ] || { echo "memoryKib $value"; break; }
done </proc/meminfo
# -P: one line per file system, whatever its name.
{ read -r _; read -r _ _ _ free _; } <<END
$(df -Pk .)
END
echo "diskFreeKib $free"
while IFS= read -r line; do
  case $line in
    vendor_id*) echo "cpuVendor ${line#*: }" ;;
    'model name'*) echo "cpuModel ${line#*: }" ;;
    'cpu MHz'*) echo "cpuClock ${line#*: }" ;;
    '') break ;;
  esac
done </proc/cpuinfo

tell_apptainer() {
  for runtime in apptainer singularity; do
    command -v "$runtime" >/dev/null || continue
    echo "$1 $("$runtime" --version 2>/dev/null)"
    break
  done
}

tell_udocker() (
  find_udocker && udocker_at "$PWD/udocker/probe" || return
  UDOCKER_DIR=$UDOCKER_DIR/../probe "$udocker" --version 2>/dev/null | while read -r word value; do
    case $word in version:) printf '%s %s' "$1" "$value" ;; tarball_release:) echo "/$value" ;; esac
  done
  # Without them a task can see and change whatever the account can.
  # shellcheck disable=SC2086
  ! $python -B "${0%/*}/namespaces.py" >/dev/null 2>&1 || echo 'udockerNamespaces yes'
)

# tell_engine NAME PROGRAM: a container is run, for only this shows that all it takes is there.
tell_engine() (
  if ! command -v "$2" >/dev/null; then
    echo "unable $1 there is no $2"
  elif ! find_engine "$2"; then
    echo "unable $1 $2 needs Python 3 and a folder of this account's own in /tmp"
  elif ! problem=$(try_engine 2>&1 >/dev/null </dev/null); then
    echo "unable $1 $2 can not run containers: $(printf '%s' "$problem" | tail -c 400 | tr '\n' ' ')"
  else
    case $2 in podman) version='{{.Client.Version}}' ;; *) version='{{.Server.Version}}' ;; esac
    echo "$1 $2 $(engine version --format "$version" </dev/null 2>/dev/null)"
  fi
)

# try_engine: as jobs are run, of an image that holds nothing; the program is the engine's own init.
try_engine() {
  mkdir -p containers "$program" || return
  has_image probe
  case $? in
    1) tar -cf - -T /dev/null | engine import - "$own_images:probe" || return ;;
    2) engine images; return 1 ;;
  esac
  case $program in
    podman) identity ;;
    # The daemon makes the folder for itself.
    docker) rm -rf docker/made; user="--volume=$PWD/docker/made:/made" ;;
  esac
  for init in /run/podman-init /dev/init /sbin/docker-init; do
    case $program:$init in podman:/sbin/* | docker:/[rd]*) continue ;; esac
    # shellcheck disable=SC2086
    engine run --rm --init --pull=never --network=host --log-driver=none --cap-drop=ALL \
      --security-opt=no-new-privileges --security-opt=label=disable $user "--label=prominence=$own" \
      "--entrypoint=$init" "$own_images:probe" --version || continue
    [ "$program" != docker ] || know_daemon
    return
  done
  return 1
}

# know_daemon: writes down whom docker's daemon takes for root, from the folder that it made.
know_daemon() {
  owner=$(stat -c %u docker/made) || { echo 'its daemon is on another machine' >&2; return 1; }
  rmdir docker/made
  case $owner in
    0) mode=root ;;
    "$(id -u)") mode=rootless ;;
    *) echo "what containers write would belong to the user $owner: the daemon remaps users" >&2; return 1 ;;
  esac
  echo "$mode" >docker/mode.new && mv docker/mode.new docker/mode
}

# Containers that no record tells of: a daemon made them for somebody who was gone already.
forget_strangers() (
  find_engine "$1" || return
  for name in $(engine ps -a --filter "label=prominence=$own" --format '{{.Names}}' </dev/null 2>/dev/null); do
    case $name in
      prominence-*) [ -e "containers/${name##*-}" ] || drop_container "$name" ;;
    esac
  done
)

# decide_network KIND: makes known what networks its containers get, and sets `network_told`. Tried with a namespace that
# nobody uses, for nothing else tells. Fails with `problem` where the site wants what this machine can't give.
decide_network() {
  [ "${decided:-}" != "$1" ] || return "$decision"
  settle_network "$1"
  decided=$1 decision=$?
  return "$decision"
}

settle_network() {
  network_told=host
  mkdir -p network
  if [ "$network" != host ]; then
    case $network in auto) state=isolated ;; *) state=$network ;; esac
    echo "$state" $doors >"network/$1.settings.$$" && mv "network/$1.settings.$$" "network/$1.settings"
    if try_network "$1"; then
      network_told=$state
    elif [ "$network" = auto ]; then
      network_told="host $problem"
    else
      rm -f "network/$1.state"
      return 1
    fi
  fi
  echo "${network_told%% *}" >"network/$1.state.$$" && mv "network/$1.state.$$" "network/$1.state"
}

try_network() {
  boot_id
  run=runs/.network-$$
  mkdir -p "$run"
  case $1 in
    docker) problem="its daemon makes the networks of its containers"; works=1 ;;
    podman) find_engine podman && make_network "$run" podman; works=$? ;;
    *) make_network "$run" "$1" && problem=$($within true 2>&1); works=$? ;;
  esac
  rm -rf "$run"
  return "$works"
}

singularity=${1:-apptainer} udocker=${2:-udocker} network=${3:-auto}
[ "$#" -lt 3 ] && shift "$#" || shift 3
doors="$*"
for runtime in "singularity $singularity" "udocker $udocker"; do
  case $runtime in
    *' apptainer') kind=own told=$(tell_apptainer "${runtime% *}") ;;
    *' udocker') kind=own told=$(tell_udocker "${runtime% *}") ;;
    *' none') told="unable ${runtime% *} the site does not take such jobs" ;;
    *) kind=${runtime#* } told=$(tell_engine "${runtime% *}" "${runtime#* }") ;;
  esac
  case $told in
    '' | 'unable '*) [ -z "$told" ] || echo "$told"; continue ;;
  esac
  if decide_network "$kind"; then
    printf '%s\nnetwork %s %s\n' "$told" "${runtime% *}" "$network_told"
  else
    echo "unable ${runtime% *} its jobs can not have a network of their own: $problem"
  fi
done
for engine_name in podman docker; do
  [ ! -d "$engine_name" ] || forget_strangers "$engine_name"
done

# try_mounts: an ordinary user has mount namespaces here, and can be itself again in one (bind.sh). Tried on empty folders,
# since a folder with a mount below it, as the work directory is while a job has storage, can't be mounted without that.
try_mounts() (
  mkdir -p trials/own-mount/from trials/own-mount/to && boot_id || return
  unshare --user --map-root-user --mount sh -c 'cd trials/own-mount/from && { mount -c --bind . ../to || mount -o bind . ../to; } &&
    [ . -ef ../to ] && exec unshare --user "--map-user=$1" "--map-group=$2" true' sh "$(id -u)" "$(id -g)" >/dev/null 2>&1 ||
    return
  echo "$boot $(try_counting && echo counted)" >own-mounts.new && mv own-mounts.new own-mounts
)

# try_counting: processes are counted for each user namespace, and not for the account: this script and its parents would
# be too many.
try_counting() {
  unshare --user "--map-user=$(id -u)" "--map-group=$(id -g)" prlimit --nproc=2 unshare --user "--map-user=$(id -u)" \
    "--map-group=$(id -g)" sh -c 'sh -c "exit 0"; exit' >/dev/null 2>&1
}
# As many processes as there can be at all (usage.sh).
{ cat /proc/sys/kernel/pid_max /proc/sys/kernel/threads-max 2>/dev/null || echo 32768; } | sort -n | head -n 1 >most-processes.new &&
  mv most-processes.new most-processes
# And as many as a job may have where its site does not say: more than 256 for a processor, all of them busy, would leave
# little to those who watch.
usual=$(($(nproc) * 256))
[ "$usual" -ge 1024 ] || usual=1024
[ "$usual" -le 4096 ] || usual=4096
echo "$usual" >usual-processes.new && mv usual-processes.new usual-processes
if try_mounts; then echo 'ownMounts yes'; else rm -f own-mounts; fi

# can_mount: rclone is there, and a mount by it works. Remembered, since trying is slow, until the machine restarts.
can_mount() {
  { : <>/dev/fuse; } 2>/dev/null && command -v rclone >/dev/null || return 1
  boot_id
  remembered=
  { read -r remembered <mounting; } 2>/dev/null
  [ "$remembered" != "$boot" ] || return 0
  trial=trials/$$
  mkdir -p "$trial/mounts/0" || return 1
  rclone_at "$PWD/trials" mount :memory: "$trial/mounts/0" --config '' --cache-dir "$PWD/$trial" >/dev/null 2>&1 &
  ticks_of "$!" || ticks=
  tries=0
  until is_mounted "$trial"; do
    is_alive "$!" "$ticks" && [ "$tries" -lt 100 ] || break
    tries=$((tries + 1))
    sleep 0.05
  done
  is_mounted "$trial" && works=0 || works=1
  detach "$trial" || detach "$trial" -z
  kill "$!" 2>/dev/null
  wait "$!"
  is_mounted "$trial" || rm -rf --one-file-system "$trial"
  [ "$works" != 0 ] || echo "$boot" >mounting
  return "$works"
}
! can_mount || (rclone_at "$PWD/trials" version 2>/dev/null) | { read -r _ version && echo "mountWebdav $version"; }
if command -v oneclient >/dev/null && { : <>/dev/fuse; } 2>/dev/null; then
  echo "mountOnedata $(oneclient --version 2>/dev/null | tr '\n' ' ')"
fi
for tool in gzip bzip2 unzip setsid tar curl; do
  ! command -v "$tool" >/dev/null || echo "tool $tool"
done
exit 0
