# stage-in.sh TOKEN INPUTS COUNT (FILENAME MODE RULE UNPACKED_NAME SHA256|-)...
#
# Fills the scratch folder of a run: the artifacts in order, up to the first that fails, then the inputs, which replace
# what an archive brought under the same name. stdin: a line
# of curl configuration with the URL for each artifact, or `stored PATH` for one in the run's storage, then with
# INPUTS=1 a tar of the inputs. What an earlier call finished is not done again. Answers on stdout: `done`,
# `failed download|away|uncompress INDEX DETAIL` (away: the source may be there another time), or `needs INDEX` where this
# machine lacks the program that unpacks it.
set -u
umask 022
. "${0%/*}/processes.sh"
. "${0%/*}/mounts.sh"
. "${0%/*}/folders.sh"
. "${0%/*}/transfers.sh"
. "${0%/*}/inputs.sh"
. "${0%/*}/unpack.sh"

run=runs/$1 inputs=$2 count=$3
shift 3
mkdir -p "$run/home" "$run/tmp" "$run/tasks" "$run/staged" || exit 1
work=$run/staged/work.$$ given=$run/staged/inputs.$$
trap 'tidy "$work"; rm -rf "$given" "$work.file" "$work.problem"; end_transfer' EXIT
trap 'trap "" TERM HUP INT; exit 143' TERM HUP INT
begin_transfer "$run" stage-in || exit 1
# What an earlier call still brings could replace what the tasks have changed since.
end_transfers "$run" stage-in

# The URLs are signed, and so kept in shell variables only.
index=0
while [ "$index" -lt "$count" ]; do
  IFS= read -r line || { echo 'the list of URLs was cut short' >&2; exit 1; }
  eval "url_$index=\$line"
  index=$((index + 1))
done
mkdir "$given" || exit 1
if [ ! -e "$run/prepared" ] && [ "$inputs" = 1 ]; then write_inputs "$given" || exit 1; fi
exec </dev/null

fail() { # STEP DETAIL
  echo "failed $1 $index $(printf '%s' "$2" | tr '\n' ' ')"
  exit 0
}

download() { # FILE; three attempts, as far as another could help
  eval "url=\$url_$index"
  case $url in
    'stored '*)
      read_stored "$run" "${url#stored }" >"$1" 2>"$work.problem" || fail download "$(tail -c 400 "$work.problem")"
      return
      ;;
  esac
  # A source that gives less than this is as good as away: at a few bytes a second it would hold a worker's place for hours.
  for pause in 1 2 0; do
    code=$(printf '%s\n' "$url" | curl -q -sS -L -g --proto =http,https -K - --connect-timeout 10 --speed-limit 1000 --speed-time 60 \
      -o "$1" -w '%{http_code}' 2>"$work.problem")
    status=$?
    if [ "$status" = 0 ]; then
      case $code in
        2?? | 000) return ;;
        408 | 429 | 5??) ;;
        *) fail download "the server answered $code" ;;
      esac
    fi
    # That is about our side.
    [ "$status" != 23 ] || fail download 'the machine has no room for it'
    [ "$pause" = 0 ] || sleep "$pause"
  done
  [ "$status" = 0 ] || fail away "$(tail -c 400 "$work.problem")"
  fail away "the server answered $code"
}

index=0
while [ "$index" -lt "$count" ]; do
  filename=$1 mode=$2 rule=$3 unpacked=$4 sha256=$5
  shift 5
  if [ ! -e "$run/staged/$index" ]; then
    has_tool_for "$rule" || { echo "needs $index"; exit 0; }
    : >"$work.file"
    download "$work.file"
    [ "$sha256" = - ] || [ "$(sha256sum <"$work.file" | cut -c 1-64)" = "$sha256" ] ||
      fail download "$filename is not what was announced: its SHA-256 differs"
    chmod "$mode" "$work.file"
    if [ "$rule" = none ]; then
      mv -fT "$work.file" "$run/home/$filename" || fail download "could not write $filename"
    else
      tidy "$work"
      mkdir "$work" || exit 1
      unpack "$rule" "$work.file" "$run/home" "$unpacked" "$work" 2>"$work.problem" >&2 ||
        fail uncompress "$(tail -c 400 "$work.problem")"
      tidy "$work"
      rm -f "$work.file"
    fi
    : >"$run/staged/$index"
  fi
  index=$((index + 1))
done
if [ ! -e "$run/prepared" ]; then
  for input in "$given"/* "$given"/.[!.]* "$given"/..?*; do
    [ -e "$input" ] || continue
    mv -fT "$input" "$run/home/${input##*/}" 2>/dev/null ||
      { index=0; fail uncompress "an artifact holds a folder that is called ${input##*/}, as is an input"; }
  done
  : >"$run/prepared"
fi
echo done
