# snapshot.sh TOKEN PATH (SOURCE TARGET)...
#
# Packs a file or folder of a run's scratch folder as it is now, and uploads it. Each SOURCE is a folder of scratch that
# containers have at TARGET. stdin: a line of curl configuration with the URL. Answers on stdout: `uploaded BYTES`, or
# `failed missing|tarball|upload DETAIL`.
set -u
umask 022
. "${0%/*}/processes.sh"
. "${0%/*}/folders.sh"
. "${0%/*}/seen-paths.sh"
. "${0%/*}/transfers.sh"

run=runs/$1 name=$2
shift 2
while [ $# -gt 1 ]; do
  bind "$1" "$2"
  shift 2
done
run_folder=$(cd -P "$run" 2>/dev/null && pwd) && [ -d "$run_folder/home" ] ||
  { echo 'failed missing the run has no scratch folder'; exit; }
packed=$PWD/$run/snapshot.$$
work_directory=$PWD
trap 'rm -f "$packed" "$packed.problem"; cd "$work_directory"; end_transfer' EXIT
trap 'trap "" TERM HUP INT; exit 143' TERM HUP INT
begin_transfer "$run" snapshot || exit 1
IFS= read -r url || { echo 'the URL was not told' >&2; exit 1; }
exec </dev/null

failed() { # CAUSE DETAIL
  echo "failed $1 $(printf '%s' "$2" | tail -c 400 | tr '\n' ' ')"
  exit
}

{ from_scratch "$run_folder" && walk "$name"; } || failed missing "there is no $name in the scratch directory"
# Names in the archive are seen from scratch.
case $at in
  /home/user) seen= ;;
  /home/user/*) seen=${at#/home/user/} ;;
  *) seen=${at#/} ;;
esac
seen=$(printf '%s' "$seen" | sed 's/[|&\\]/\\&/g')
if [ -n "$base" ]; then
  tar -czf "$packed" --transform "s|^\./|${seen:+$seen/}|S" -- "./$base" 2>"$packed.problem"
else
  tar -czf "$packed" --transform "s|^\.|${seen:-.}|S" . 2>"$packed.problem"
fi
# 1: a file changed as it was read.
[ "$?" -le 1 ] || failed tarball "$(cat "$packed.problem")"

# A store that takes less than this is as good as away: at a few bytes a second it would hold a worker's place for hours.
for pause in 1 2 0; do
  code=$(printf '%s\n' "$url" | curl -q -sS -g -K - --connect-timeout 30 --speed-limit 1000 --speed-time 60 \
    -T "$packed" -o /dev/null -w '%{http_code}' 2>"$packed.problem")
  status=$?
  case $status:$code in
    0:200 | 0:201 | 0:204) echo "uploaded $(stat -c %s "$packed")"; exit ;;
    0:408 | 0:429 | 0:5??) ;;
    0:4??) break ;;
  esac
  [ "$pause" = 0 ] || sleep "$pause"
done
[ "$status" != 0 ] || failed upload "the store answered $code"
failed upload "$(cat "$packed.problem")"
