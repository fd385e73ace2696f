# snapshot.sh TOKEN PATH
#
# Packs a file or folder of a run's scratch folder as it is now, and uploads it. stdin: a line of curl configuration with
# the URL. Answers on stdout: `uploaded BYTES`, or `failed missing|tarball|upload DETAIL`.
set -u
umask 022
. "${0%/*}/processes.sh"
. "${0%/*}/folders.sh"
. "${0%/*}/transfers.sh"

run=runs/$1 name=$2
home=$(cd -P "$run/home" 2>/dev/null && pwd) || { echo 'failed missing the run has no scratch folder'; exit; }
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

# The folder is entered and then looked at: no link that the job puts there meanwhile can lead out of scratch any more.
missing() { failed missing "there is no $name in the scratch directory"; }
found=$(realpath -e -- "$home/$name" 2>/dev/null && echo .) || missing
found=${found%?.}
case $found in
  "$home") base=. ;;
  "$home"/*) base=${found##*/} found=${found%/*} ;;
  *) missing ;;
esac
go_to "$found" || missing

# Names in the archive are seen from scratch.
inside=${here#"$home"} inside=${inside#/}
prefix=$(printf '%s' "${inside:+$inside/}" | sed 's/[|&\\]/\\&/g')
tar -czf "$packed" --transform "s|^\./|$prefix|S" -- "./$base" 2>"$packed.problem"
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
