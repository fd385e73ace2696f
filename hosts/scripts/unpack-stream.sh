# unpack-stream.sh TOKEN INDEX tar|file MODE NAME BOUNDARY
#
# Takes one artifact that our side fetched and unpacked for a machine without the program: a tar, or the bytes of a
# single file, on stdin, and BOUNDARY after it: without that the sender died in the middle. Answers `done` or `failed uncompress INDEX DETAIL`.
set -u
umask 022
. "${0%/*}/processes.sh"
. "${0%/*}/transfers.sh"
. "${0%/*}/unpack.sh"

run=runs/$1 index=$2 kind=$3 mode=$4 name=$5 boundary=$6
work=$run/staged/work.$$
mkdir -p "$work" || exit 1
trap 'tidy "$work"; rm -f "$work.file" "$work.problem"; end_transfer' EXIT
trap 'trap "" TERM HUP INT; exit 143' TERM HUP INT
begin_transfer "$run" stage-in || exit 1
cat >"$work.file" || exit 1
[ "$(tail -c "${#boundary}" "$work.file")" = "$boundary" ] || { echo 'the artifact was cut short' >&2; exit 1; }
truncate -s "-${#boundary}" "$work.file" || exit 1
if [ "$kind" = tar ]; then
  unpack tar "$work.file" "$run/home" "$name" "$work" 2>"$work.problem" >&2
else
  chmod "$mode" "$work.file" && mv -fT "$work.file" "$run/home/$name" 2>"$work.problem"
fi || {
  echo "failed uncompress $index $(tail -c 400 "$work.problem" | tr '\n' ' ')"
  exit 0
}
: >"$run/staged/$index"
echo done
