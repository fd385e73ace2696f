# bind.sh RUN [FROM SOURCE REFUSAL NUMBER]... -- [PROGRAM [WORD...]]
#
# Mounts folders of scratch (FROM `scratch`) and of the run's storage (`mount`) at binds/NUMBER of the run, and then
# becomes the program. Runs as root of a mount namespace of an ordinary user. What
# is mounted is the folder that this shell stands in and was asked about, so that no link put in its place is followed,
# now or when the runtime opens it. `inside` in container.sh has no such hold on its path: a job can rename folders of its
# scratch while the runtime opens them. Where there are no such namespaces, and for docker, whose daemon opens paths itself,
# folders are bound only while nothing else of the run goes on (`alone` in container.sh). Costs 12 ms of CPU, only for jobs
# that bind folders.
set -u
umask 022
. "${0%/*}/processes.sh"
. "${0%/*}/mounts.sh"
. "${0%/*}/folders.sh"

run=$1 work=$PWD
shift
while [ "$1" != -- ]; do
  target=$work/$run/binds/$4
  case $1 in
    mount) is_mounted "$run" && enter "$work/$run/mounts/0" "$2" ;;
    *) enter "$work/$run/home" "$2" make ;;
  esac && {
    # Some programs look a path up before they mount it: then the kernel is told another one than was meant.
    mount -c --bind . "$target" || mount -o bind . "$target"
  } 2>/dev/null && [ . -ef "$target" ] || { echo "$3" >&2; exit 255; }
  cd "$work" || exit 255
  shift 4
done
shift
[ $# -gt 0 ] || exit 0
exec "$@"
