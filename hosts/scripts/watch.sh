# watch.sh DEPLOYMENT
#
# The far end of a watch: commands on stdin, each answered on stdout by lines of which the last is a single dot. A line
# on stderr says that a task ended. Ends with its stdin, or when it heard nothing for ten minutes.
set -u
umask 022
. "${0%/*}/processes.sh"
. "${0%/*}/transfers.sh"
. "${0%/*}/mounts.sh"

scripts=${0%/*} deployment=$1
boot_id
ticks_of $$ || exit 1

# Waits for signals of supervisors. Being a process of its own it never keeps one of them waiting.
wakeful() {
  woken= silent=0
  trap 'woken=1' USR1
  trap 'silent=0' USR2
  trap 'kill "$nap" 2>/dev/null; exit 0' TERM
  while is_alive "$$" "$main_ticks" && [ "$silent" -lt 120 ]; do
    sleep 5 &
    nap=$!
    while kill -0 "$nap" 2>/dev/null; do
      wait "$nap"
      [ -z "$woken" ] || { woken=; echo changed; }
    done
    silent=$((silent + 1))
  done
  kill "$$" 2>/dev/null
}

main_ticks=$ticks
trap '' USR1 USR2
wakeful </dev/null >&2 2>/dev/null &
ear=$!
for watch in watches/*; do
  watch=${watch#watches/}
  is_alive "${watch%.*}" "${watch#*.}" || rm -f "watches/$watch"
done
ticks_of "$ear"
mark=watches/$ear.$ticks
exec 5</dev/null
: >"$mark"
# What the one who removes beside us has to tell.
[ ! -e "$mark" ] || exec 5<"$mark"
trap 'rm -f "$mark"; kill "$ear" 2>/dev/null; exit 0' EXIT
trap 'exit 0' TERM HUP INT PIPE
# Containers whose launches came to an end that nobody saw.
[ ! -d containers ] || sh "$scripts/sweep.sh" </dev/null >/dev/null 2>&1 &

tell_task() {
  task=$1 index=${1##*/}
  [ -e "$task/started" ] || return
  if [ -e "$task/exit.json" ]; then
    IFS= read -r result <"$task/exit.json"
    echo "task $index finished $result"
    return
  fi
  [ ! -e "$task/lost" ] || { echo "task $index lost its supervisor was gone"; return; }
  pid= started= at_boot=
  read -r pid started at_boot _ <"$task/started"
  if [ -z "$at_boot" ]; then
    # Claimed, and not yet written: a moment in the life of a supervisor, unless it died in it.
    if [ $(($(date +%s) - $(stat -c %Y "$task/started"))) -lt 60 ]; then
      echo "task $index running"
    else
      echo "task $index lost its supervisor died at once"
    fi
  elif [ "$at_boot" != "$boot" ]; then
    echo "task $index lost the machine restarted"
  elif is_alive "$pid" "$started"; then
    echo "task $index running"
  elif [ -e "$task/exit.json" ]; then
    tell_task "$task"
  else
    # Nothing may go on unwatched when the task is given up: another attempt will run elsewhere.
    : >"$task/lost"
    [ ! -s "$task/leader" ] || { read -r leader leader_ticks <"$task/leader"; kill_family "$leader" "$leader_ticks"; }
    echo "task $index lost its supervisor was killed"
  fi
}

# The sizes come last: whoever is told that a task ended is told of everything that it wrote.
tell_runs() {
  set -- "runs/$deployment"-*/
  [ -d "$1" ] || return
  for run in "$@"; do
    name=${run#runs/}
    echo "run ${name%/}"
    for task in "${run}tasks/"*; do tell_task "$task"; done
  done
  # One fork tells the sizes of all streams.
  sizes=
  for run in "$@"; do
    [ ! -e "${run}stdout" ] || sizes="$sizes ${run}stdout ${run}stderr"
  done
  # shellcheck disable=SC2086
  [ -z "$sizes" ] || stat -c 'size %n %s' $sizes 2>/dev/null
}

# mount_is_gone TOKEN: if it is not, it is seen to. That may take its time, which nobody here is kept waiting for: the
# run is there at the next look as well.
mount_is_gone() {
  is_mounted "runs/$1" || holder "runs/$1" server || holder "runs/$1" keeper || return 0
  holder "runs/$1" ending || setsid sh "$scripts/unmount.sh" "$1" 30 60 </dev/null >/dev/null 2>&1 &
  return 1
}

# end_run TOKEN: ends what goes on for a run. `over` has its folder when nothing does.
end_run() {
  run=runs/$1
  [ -d "$run" ] || return
  running=
  for task in "$run"/tasks/*; do
    [ ! -e "$task/started" ] || [ -e "$task/exit.json" ] || [ -e "$task/lost" ] || running=1
  done
  [ -z "$running" ] || sh "$scripts/kill.sh" "$1" 0 keep || return
  end_transfers "$run"
  [ ! -d "$run/mounts" ] || mount_is_gone "$1" || return
  # What is mounted there is not ours to remove.
  ! holds_mounts "$run" || { echo "could not remove $run: something is mounted in it"; return; }
  over="$over $run"
}

# discard RUN...: at once where that is quick, so that the answer tells how it went. What takes longer is put aside and
# goes beside other work, for nobody else is answered meanwhile.
discard() {
  timeout 1 rm -rf --one-file-system "$@" 2>/dev/null && return
  status=$? aside=
  for run; do
    [ -d "$run" ] || continue
    folder=removed/${run#runs/}.0.$$
    if problem=$(mv -T "$run" "$folder" 2>&1); then aside="$aside $folder"; else echo "could not remove $run: $problem"; fi
  done
  if [ "$status" != 124 ] && [ -n "$aside" ]; then
    # shellcheck disable=SC2086
    timeout 1 sh "$scripts/discard.sh" $aside </dev/null 2>/dev/null
    status=$?
  fi
  now
  if [ "$status" = 124 ]; then retry_at=$now; else retry_at=$((now + pause)); fi
  discard_rest
}

# discard_rest: what took longer, and what others left who are gone. By one process at a time; what that can't remove it
# tries again, more and more seldom, and tells in our mark.
discarder= discarder_ticks= retry_at=0 pause=3000
discard_rest() {
  set -- removed/*
  [ -d "$1" ] || { pause=3000; return; }
  now
  [ "$now" -ge "$retry_at" ] && ! is_alive "$discarder" "$discarder_ticks" || return
  setsid sh "$scripts/discard.sh" </dev/null >>"$mark" 2>/dev/null &
  discarder=$!
  ticks_of "$discarder"
  discarder_ticks=$ticks retry_at=$((now + pause))
  [ "$pause" -ge 360000 ] || pause=$((pause * 2))
}

[ -d removed ] || mkdir removed
discard_rest
echo "boot $boot"
echo .
while read -r command first second third fourth; do
  kill -USR2 "$ear" 2>/dev/null
  case $command in
    list)
      tell_runs
      discard_rest
      ;;
    # RUN STREAM OFFSET BYTES; as base64, so that what a task writes can never be taken for a frame.
    read)
      dd "if=runs/$first/$second" bs=65536 iflag=skip_bytes,count_bytes "skip=$third" "count=$fourth" status=none \
        2>/dev/null | base64 -w 0
      echo
      ;;
    remove)
      while IFS= read -r problem <&5; do echo "$problem"; done
      over=
      for name in $first $second $third $fourth; do end_run "$name"; done
      # shellcheck disable=SC2086
      [ -z "$over" ] || discard $over
      ;;
    ping) ;;
    *) echo "unknown $command" ;;
  esac
  echo .
done
