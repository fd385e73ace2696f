# stage-out.sh TOKEN COUNT (SOURCE TARGET)... (file|directory NAME)...
#
# Uploads what a run made. COUNT folders of scratch were bound where containers have TARGET. stdin: a line of curl
# configuration with the URL for each output, or `stored PATH` for one that goes to the run's storage. All are attempted.
# Answers a line each on stdout: `uploaded BYTES`, or `failed missing|tarball|unreadable|refused|upload DETAIL`; upload
# may go well another time.
set -u
umask 022
. "${0%/*}/processes.sh"
. "${0%/*}/mounts.sh"
. "${0%/*}/folders.sh"
. "${0%/*}/seen-paths.sh"
. "${0%/*}/transfers.sh"

run=runs/$1 count=$2
shift 2
while [ "$count" -gt 0 ]; do
  bind "$1" "$2"
  shift 2
  count=$((count - 1))
done
# What is to be delivered may be locked: its owner is our account.
unlocking=1
directory=$PWD packed=$PWD/$run/packed.$$
trap 'cd "$directory" && rm -f "$packed" "$packed.problem" "$packed.stored"; end_transfer' EXIT
trap 'trap "" TERM HUP INT; exit 143' TERM HUP INT
begin_transfer "$run" stage-out || exit 1
end_transfers "$run" stage-out
: >"$packed.problem" && : >"$packed.stored" || exit 1

failed() { # CAUSE DETAIL
  echo "failed $1 $(printf '%s' "$2" | tr '\n' ' ')"
}

# hold: the file `base` of the folder that one stands in as `packed`, as its name may be another's a moment later. Fails
# with 2 where it can't be had.
hold() {
  rm -f "$packed"
  if ! ln -P "./$base" "$packed" 2>/dev/null; then
    # Not every file system has hard links. What may be a pipe by now is not waited for.
    [ -f "./$base" ] && [ ! -L "./$base" ] || return 1
    [ -r "./$base" ] || chmod u+r "./$base" 2>/dev/null
    dd "if=./$base" "of=$packed" iflag=nofollow,nonblock bs=1M status=none 2>"$packed.problem" || return 2
  fi
  [ -f "$packed" ] && [ ! -L "$packed" ] || return 1
  [ -r "$packed" ] || chmod u+r "$packed" 2>"$packed.problem" || return 2
}

upload() { # FILE
  case $url in
    'stored '*)
      if grep -q -x -F -e "$url" "$packed.stored"; then
        failed refused "another output of the job is at ${url#stored } in the storage already"
        return
      fi
      printf '%s\n' "$url" >>"$packed.stored"
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
      # That is about our side.
      26:*) failed unreadable 'it could not be read'; return ;;
      1:* | 2:* | 3:* | 23:* | 27:*) failed refused "$(tail -c 400 "$packed.problem")"; return ;;
    esac
    [ "$pause" = 0 ] || sleep "$pause"
  done
  if [ "$status" = 0 ]; then failed upload "the store answered $code"; else failed upload "$(tail -c 400 "$packed.problem")"; fi
}

upload_file() { # PATTERN
  : >"$packed.problem"
  (from_scratch "$run_folder" && first_match '' "$1") || failed missing "no file $1$(cat "$packed.problem")"
}

# first_match BEFORE PATTERN: answers for the first file that the pattern leads to from where one stands, having come
# there by BEFORE. Each part is looked at where the ones before lead to, as links mean something else on the machine.
first_match() (
  # No word splitting, only patterns: a name may hold blanks.
  IFS=
  case $2 in */*) pattern=${2%%/*} more=${2#*/} ;; *) pattern=$2 more= ;; esac
  # shellcheck disable=SC2086
  for match in ${pattern:-.}; do
    [ -n "$more" ] || [ ! -d "./$match" ] || [ -L "./$match" ] || continue
    (
      walk "$match" || { lost >"$packed.problem"; exit 1; }
      if [ -n "$more" ]; then first_match "$1$match/" "$more"; else take "$1$match"; fi
    ) && exit
  done
  exit 1
)

# take NAME: answers for the file that the walk led to. Fails where there is none.
take() {
  [ -n "$base" ] || return 1
  hold
  held=$?
  # Only patterns are read without splitting words.
  unset IFS
  cd "$directory" || exit 1
  case $held in
    0)
      # In the user's own storage it is found by its name, not by the pattern.
      case $url in 'stored '*"$wanted") url=${url%"$wanted"}$1 ;; esac
      upload "$packed"
      ;;
    2) failed unreadable "$1 could not be read: $(tail -c 400 "$packed.problem")" ;;
    *) return 1 ;;
  esac
}

upload_directory() { # NAME
  # Members are named as the folder was asked for.
  name=$(printf '%s' "${1%/}" | sed 's/[|&\\]/\\&/g')
  rm -f "$packed"
  (
    from_scratch "$run_folder" && walk "$1" && [ -z "$base" ] || { lost >"$packed.problem"; exit 3; }
    unlock
    exec tar -czf "$packed" --transform "s|^\.|${name:-.}|S" . 2>"$packed.problem"
  )
  case $? in
    # 1: a file changed as it was read.
    0 | 1) upload "$packed" ;;
    3) failed tarball "no folder $1$(cat "$packed.problem")" ;;
    *) failed tarball "$1 could not be packed: $(tail -c 400 "$packed.problem")" ;;
  esac
}

run_folder=$(cd -P "$run" 2>/dev/null && pwd) || run_folder=
while [ $# -gt 0 ]; do
  IFS= read -r url || url=
  wanted=$2
  if [ -z "$run_folder" ] || [ ! -d "$run_folder/home" ]; then
    failed missing 'the run has no scratch folder'
  elif [ "$1" = file ]; then
    upload_file "$2"
  else
    upload_directory "$2"
  fi
  shift 2
done
