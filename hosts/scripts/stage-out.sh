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
  found=$(realpath -e -- "$home/$1" 2>/dev/null) || return 1
  case $found in "$home" | "$home"/*) ;; *) return 1 ;; esac
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
  for pause in 1 2 0; do
    code=$(printf '%s\n' "$url" | curl -q -sS -g -K - --connect-timeout 120 --speed-limit 1 --speed-time 120 \
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
    within "$match" && [ -f "$found" ] || continue
    # In the user's own storage it is found by its name, not by the pattern.
    case $url in 'stored '*"$1") url=${url%"$1"}$match ;; esac
    upload "$found"
    return
  done <<END
$matches
END
  failed missing "no file $1"
}

upload_directory() { # NAME
  name=${1%/}
  within "$name" && [ -d "$found" ] || { failed tarball "no folder $1"; return; }
  tar -czf "$packed" -C "$home" -- "$name/" 2>"$packed.problem"
  # 1: a file changed as it was read.
  if [ "$?" -gt 1 ]; then failed tarball "$(tail -c 400 "$packed.problem")"; else upload "$packed"; fi
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
