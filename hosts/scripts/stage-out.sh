# stage-out.sh TOKEN (file|directory NAME)...
#
# Uploads what a run made. stdin: a line of curl configuration with the URL for each, or `stored PATH` for one that goes to
# the run's storage. All are attempted. Answers a line each on stdout: `uploaded BYTES`, or
# `failed missing|tarball|refused|upload DETAIL`; upload may go well another time.
set -u
umask 022
. "${0%/*}/processes.sh"
. "${0%/*}/mounts.sh"
. "${0%/*}/folders.sh"
. "${0%/*}/transfers.sh"

run=runs/$1
shift
home=$(cd -P "$run/home" 2>/dev/null && pwd) || home=
packed=$PWD/$run/packed.$$
trap 'rm -f "$packed" "$packed.problem"; end_transfer' EXIT
trap 'trap "" TERM HUP INT; exit 143' TERM HUP INT
begin_transfer "$run" stage-out || exit 1
end_transfers "$run" stage-out

failed() { # CAUSE DETAIL
  echo "failed $1 $(printf '%s' "$2" | tr '\n' ' ')"
}

# within NAME: sets `found` to the real path, where that lies in scratch: a link out of it leads to nothing here.
within() {
  found=$(realpath -e -- "$home/$1" 2>/dev/null && echo .) || return 1
  found=${found%?.}
  case $found in "$home" | "$home"/*) ;; *) return 1 ;; esac
}

# hold NAME: the file itself as `packed`, as its name may be another's a moment later. Fails with 2 where it can't be had.
hold() {
  rm -f "$packed"
  within "$1" && [ -f "$found" ] || return 1
  (
    go_to "${found%/*}" || exit 1
    file=./${found##*/}
    ln -P "$file" "$packed" 2>/dev/null && exit
    # Not every file system has hard links. What may be a pipe by now is not waited for.
    [ -f "$file" ] && [ ! -L "$file" ] || exit 1
    dd "if=$file" "of=$packed" iflag=nofollow,nonblock bs=1M status=none 2>"$packed.problem" || exit 2
  ) || return
  [ -f "$packed" ] && [ ! -L "$packed" ]
}

upload() { # FILE
  case $url in
    'stored '*)
      if write_stored "$run" "${url#stored }" <"$1" 2>"$packed.problem"; then
        echo "uploaded $(stat -c %s "$1")"
      else
        failed refused "$(tail -c 400 "$packed.problem")"
      fi
      return
      ;;
  esac
  # A store that takes less than this is as good as away: at a few bytes a second it would hold a worker's place for hours.
  for pause in 1 2 0; do
    code=$(printf '%s\n' "$url" | curl -q -sS -g -K - --connect-timeout 120 --speed-limit 1000 --speed-time 120 \
      -T "$1" -o /dev/null -w '%{http_code}' 2>"$packed.problem")
    status=$?
    case $status:$code in
      0:200 | 0:201 | 0:204) echo "uploaded $(stat -c %s "$1")"; return ;;
      0:408 | 0:429 | 0:5??) ;;
      0:4??) failed refused "the store answered $code"; return ;;
    esac
    [ "$pause" = 0 ] || sleep "$pause"
  done
  if [ "$status" = 0 ]; then failed upload "the store answered $code"; else failed upload "$(tail -c 400 "$packed.problem")"; fi
}

upload_file() { # PATTERN
  # No word splitting, only patterns: a name may hold blanks.
  IFS=
  # shellcheck disable=SC2086
  matches=$(cd "$home" && for match in $1; do printf '%s\n' "$match"; done)
  unset IFS
  while IFS= read -r match; do
    hold "$match"
    case $? in
      0)
        # In the user's own storage it is found by its name, not by the pattern.
        case $url in 'stored '*"$1") url=${url%"$1"}$match ;; esac
        upload "$packed"
        ;;
      1) continue ;;
      *) failed upload "$(tail -c 400 "$packed.problem")" ;;
    esac
    return
  done <<END
$matches
END
  failed missing "no file $1"
}

upload_directory() { # NAME
  within "$1" && [ -d "$found" ] || { failed tarball "no folder $1"; return; }
  # Members are named as the folder was asked for.
  name=$(printf '%s' "${1%/}" | sed 's/[|&\\]/\\&/g')
  rm -f "$packed"
  (
    go_to "$found" || exit 3
    exec tar -czf "$packed" --transform "s|^\.|${name:-.}|S" . 2>"$packed.problem"
  )
  case $? in
    # 1: a file changed as it was read.
    0 | 1) upload "$packed" ;;
    3) failed tarball "no folder $1" ;;
    *) failed tarball "$(tail -c 400 "$packed.problem")" ;;
  esac
}

while [ $# -gt 0 ]; do
  IFS= read -r url || url=
  if [ -z "$home" ]; then
    failed missing 'the run has no scratch folder'
  elif [ "$1" = file ]; then
    upload_file "$2"
  else
    upload_directory "$2"
  fi
  shift 2
done
