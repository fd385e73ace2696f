# supervise.sh TOKEN TASK IMAGE_FILE WALLTIME_SECONDS MEMORY_KB GRACE_SECONDS INPUTS BOUNDARY OUTPUT_BYTES COPY PROCESSES
#
# Starts one task of a run, or finds that it was started, answers on stdout and then stays as the task's supervisor
# until it ended. Runs in a session of its own in the work directory: it must outlive whoever asked for it.
# stdin: the launch text (shell, with secrets in it: never a file, never an argument), a line BOUNDARY, and with INPUTS=1
# a tar of the inputs. What the run writes to stdout or stderr is kept up to OUTPUT_BYTES. COPY is a dash, or as base64
# the name of a file in scratch that the task's output is appended to. PROCESSES is how many of them, with their threads,
# and MEMORY_KB how much, all that runs for the run may have at one time; 0 for what is usual here.
# Answers: `started EPOCH`, `imageMissing`, `killed`, or `failed WHY`.
#
# A task writes into pipes, which `cat` empties into files of the run: a program that opens /dev/stdout anew would empty a file
# by that. Where the disk is full, output is dropped and the task goes on. The end waits for the last of the output, and ten
# seconds at most for a process that keeps a pipe open. Output is cut where it is written, by the position of the files.
set -u
umask 022
. "${0%/*}/processes.sh"
. "${0%/*}/mounts.sh"
. "${0%/*}/folders.sh"
. "${0%/*}/network.sh"
. "${0%/*}/container.sh"
. "${0%/*}/usage.sh"
. "${0%/*}/inputs.sh"

token=$1 run=runs/$1 task=runs/$1/tasks/$2 image=$3 walltime=$4 memory=$5 grace=$6 inputs=$7 boundary=$8
output_bytes=$9 copy=${10}
limit_processes "${11}"

already() {
  [ -s "$task/started" ] || return 1
  read -r _ _ _ at <"$task/started"
  echo "started $at"
}

already && exit
# It names a file here.
case ${image%.*} in '' | *[!0-9a-f]*) echo 'failed not a name of an image'; exit ;; esac
[ ! -e "$run/killed" ] || { echo killed; exit; }
[ -e "$run/$image" ] || [ -e "images/$image" ] || { echo imageMissing; exit; }
problem=$(mkdir -p "$run/home" "$run/tmp" "$run/var-tmp" "$task" 2>&1) || { echo "failed $problem"; exit; }
# A hard link: the image lives on for this run when the cache drops it. A copy, where there are none, has its name when it
# is whole.
[ -e "$run/$image" ] || ln "images/$image" "$run/$image" 2>/dev/null || [ -e "$run/$image" ] ||
  { cp "images/$image" "$run/$image.$$" && mv "$run/$image.$$" "$run/$image"; } 2>/dev/null ||
  { rm -f "$run/$image.$$"; echo imageMissing; exit; }

case $image in
  *.podman | *.docker)
    # These hold the image themselves: what is kept here only tells of it.
    . "${0%/*}/engine.sh"
    find_engine "${image##*.}" || { echo "failed this machine has no ${image##*.} any more"; exit; }
    has_image "${image%.*}"
    case $? in
      0) ;;
      1) rm -f "images/$image" "$run/$image"; echo imageMissing; exit ;;
      *) echo "failed $program does not say what images it has"; exit ;;
    esac
    ;;
esac

launch= complete=
while IFS= read -r line; do
  [ "$line" != "$boundary" ] || { complete=1; break; }
  launch=$launch$line$newline
done
[ -n "$complete" ] || { echo 'failed the launch text was cut short'; exit; }

if [ ! -e "$run/prepared" ]; then
  if [ "$inputs" = 1 ]; then
    problem=$(write_inputs "$run/home" 2>&1) || { echo "failed to write the inputs: $problem"; exit; }
  fi
  : >"$run/prepared"
fi
exec </dev/null

# What is called from here on needs no locale, and starts faster without one.
locale=${LC_ALL-}
export LC_ALL=C

# Room for the result is taken before the task can fill the disk.
{ printf '%512s\n' '' >"$task/exit.new"; } 2>/dev/null || { echo 'failed no space left on the machine'; exit; }

network_kind "$image"
join_network "$run" "$kind" || { echo "failed $problem"; exit; }

# The claim: whoever creates this file runs the task, and nobody else ever does.
boot_id
ticks_of $$
at=$(date +%s.%N)
set -C
{ echo "$$ $ticks $boot $at" >"$task/started"; } 2>/dev/null || {
  tries=0
  until already; do
    [ $((tries += 1)) -lt 100 ] || { echo 'failed another start of this task came to nothing'; exit; }
    sleep 0.05
  done
  exit
}
set +C
main_ticks=$ticks
# The claim is made: the task is run also when nobody is left to hear it.
trap '' PIPE
echo "started $at" 2>/dev/null
trap - PIPE
exec >/dev/null 2>&1

# open_streams: the task writes into pipes. What it opens anew as /dev/stdout or /dev/stderr, if that were the file, would be
# emptied by that. Both ends are open before anybody reads or writes: then nobody waits for the other, or misses its words.
open_streams() {
  mkfifo "$task/out" "$task/err" || return 1
  exec 8<>"$task/out" 9<>"$task/err" 4<"$task/out" 5<"$task/err"
  { exec <&4 >&6 4<&- 5<&- 8>&- 9>&-; keep; } &
  follow_stream
  { exec <&5 >&7 4<&- 5<&- 8>&- 9>&-; keep; } &
  follow_stream
  exec 4<&- 5<&-
}

# keep: what comes is written as it comes. Where there is no room for it, it is dropped, and what comes later may find room
# again: the task goes on.
keep() {
  until cat; do timeout 1 cat >/dev/null; done
}

# follow_stream: the process that was just started takes what the task writes.
follow_stream() { ! ticks_of "$!" || streams="$streams $!.$ticks"; }

# open_copy: with COPY, what the task writes goes to the job's stdout and to the file. dd, standing in the file's folder,
# never follows a link that the job may put there meanwhile. Fails when the file is none of scratch.
open_copy() {
  name=$(printf '%s' "$copy" | base64 -d && echo .) || return 1
  name=${name%.}
  folder=$(enter_above "$PWD/$run/home" "$name" make && printf '%s.' "$here") || return 1
  folder=${folder%.} name=${name##*/}
  [ ! -L "$folder/$name" ] && { [ ! -e "$folder/$name" ] || [ -f "$folder/$name" ]; } || return 1
  mkfifo "$task/written" "$task/copied" || return 1
  exec 3<>"$task/written" 4<"$task/written"
  tee -p "$task/copied" <&4 >&8 2>&7 3>&- 4<&- 8>&- 9>&- &
  follow_stream
  (go_to "$folder" && exec dd "of=./$name" oflag=append,nofollow conv=notrunc bs=65536 status=none) \
    <"$task/copied" >&7 2>&7 3>&- 4<&- 8>&- 9>&- &
  follow_stream
  exec 4<&-
}

# close_streams: when the task is over, what it wrote is on its way still. It may have left somebody who writes on.
close_streams() {
  now
  patience=$((now + 1000))
  for stream in $streams; do
    reader=${stream%.*}
    while is_alive "$reader" "${stream#*.}"; do
      if [ "$now" -ge "$patience" ]; then
        children=
        { read -r children <"/proc/$reader/task/$reader/children"; } 2>/dev/null
        # shellcheck disable=SC2086
        kill -KILL "$reader" $children 2>/dev/null
        break
      fi
      sleep 0.02
      now
    done
  done
}

# bound_output: cuts what goes beyond the bound. Who writes inherited our descriptors, so they tell where it is.
bound_output() {
  for stream in 6:stdout 7:stderr; do
    position=0
    { read -r _ position; } <"/proc/self/fdinfo/${stream%:*}"
    [ "$position" -le "$output_bytes" ] || truncate -s "<$output_bytes" "$run/${stream#*:}"
  done
}

# The limits are watched by a process of its own, so that the one above does nothing but wait for the end. Its exit code
# says who ended the task: a full disk could not keep that.
watch_limits() {
  peak=0 runtime_kib=0 nap= verdict=0 spared=
  trap '[ -z "$nap" ] || kill "$nap" 2>/dev/null' USR1
  trap '[ -z "$nap" ] || kill "$nap" 2>/dev/null; tell_peak; exit "$verdict"' TERM
  page_size
  now
  deadline=$((now + walltime * 100))
  for pause in 0.05 0.05 0.1 0.1 0.2 0.2; do watch_once "$pause"; done
  # A task that is as short as most does not take the closer looks.
  wary=1
  for pause in 0.5 0.5; do watch_once "$pause"; done
  while :; do watch_once 1; done
}

watch_once() {
  sleep "$1" &
  nap=$!
  wait "$nap" 2>/dev/null
  nap=
  # Nobody could learn of the end of a task whose supervisor or folder is gone: it must not go on.
  if [ ! -d "$task" ] || ! is_alive "$$" "$main_ticks"; then
    kill_family "$leader" "$leader_ticks"
    exit 0
  fi
  # A task may be over before this process can be told so.
  is_alive "$leader" "$leader_ticks" || { tell_peak; exit "$verdict"; }
  if [ -e "$run/killed" ]; then
    read -r kill_grace <"$run/killed"
    end_task 3 "${kill_grace:-$grace}"
  fi
  bound_output
  weigh "$leader"
  tally
  over=
  if [ "$threads" -gt "$most_processes" ]; then
    over=4
  elif is_too_much; then
    over=2
    [ -z "$own_users" ] || [ $((own + beyond)) -le "$peak" ] || peak=$((own + beyond))
  fi
  # A user's command beside the task, which looks more often, ends before the task does.
  if [ -z "$over" ]; then
    spared=
  elif [ -z "$spared" ] && has_commands; then
    spared=1
  else
    end_task "$over" 0
  fi
  now
  [ "$now" -lt "$deadline" ] || end_task 1 "$grace"
}

# tally: the most that the task was seen to have.
tally() {
  if [ -n "$own_users" ]; then
    [ "$own" -le "$peak" ] || peak=$own
  else
    # What the runtime takes is told of when the task is over before the next look.
    runtime_kib=$own
  fi
}

has_commands() {
  set -- "$run"/execs/*
  [ -e "$1" ]
}

tell_peak() {
  [ "$peak" -gt 0 ] || peak=$runtime_kib
  echo "$peak" >"$task/rss"
}

# end_task VERDICT GRACE: TERM once to each of the user's processes, KILL to everything after the grace.
end_task() {
  verdict=$1
  now
  until=$((now + $2 * 100)) told=
  if [ "$1" = 4 ]; then
    # There are too many to look at them one by one.
    fell "$leader"
  fi
  family "$leader"
  while [ "$now" -lt "$until" ]; do
    family "$leader"
    # shellcheck disable=SC2086
    [ -n "$told" ] || [ -z "$users" ] || { kill -TERM $users 2>/dev/null; told=1; }
    [ -z "$told" ] || [ -n "$users" ] || break
    sleep 0.1
    now
  done
  tell_peak
  # Not every runtime tells by its exit code that KILL was needed.
  [ -z "$users" ] || verdict=$((verdict + 10))
  end_family "$run" "$leader" "$leader_ticks"
  exit "$verdict"
}

cause=exited code=137 watcher= streams=
exec 6>>"$run/stdout" 7>>"$run/stderr"
trap '[ -z "$watcher" ] || kill -USR1 "$watcher" 2>/dev/null' TERM
read -r uptime_start _ </proc/uptime
if [ -e "$run/killed" ]; then
  cause=killed
elif ! open_streams; then
  echo 'no pipes for the output of the task could be made' >&7
  code=255
elif [ "$copy" != - ] && ! open_copy; then
  echo 'stdout of the task is no file in the scratch directory that could be written' >&7
  code=255
else
  (
    read -r self _ </proc/self/stat
    ticks_of "$self"
    echo "$self $ticks" >"$task/leader"
    # Somebody found this task without a supervisor and gave it up: it must not come to life now.
    [ ! -e "$task/lost" ] || exit 137
    if [ "$copy" = - ]; then exec >"$task/out" 2>"$task/err"; else exec >"$task/written" 2>&1; fi
    exec 3>&- 6>&- 7>&- 8>&- 9>&-
    if [ -n "$locale" ]; then LC_ALL=$locale; else unset LC_ALL; fi 2>/dev/null
    export ENGINE_CPU_FILE="$task/cpu"
    leave_room
    eval "$launch"
  ) &
  leader=$!
  exec 3>&- 8>&- 9>&-
  ticks_of "$leader"
  leader_ticks=$ticks
  trap '' USR1
  watch_limits &
  watcher=$!
  wait "$leader"
  code=$?
  # A wait is also ended by a signal to us; then the leader is still there to be waited for.
  while kill -0 "$leader" 2>/dev/null; do
    wait "$leader"
    code=$?
  done
  times >"$task/times"
  kill -TERM "$watcher" 2>/dev/null
  wait "$watcher"
  verdict=$?
  while kill -0 "$watcher" 2>/dev/null; do
    wait "$watcher"
    verdict=$?
  done
  # One that was told to end before it began to watch ends by the signal, which is no verdict.
  case $verdict in 1 | 11) cause=walltime ;; 2 | 12) cause=memory ;; 3 | 13) cause=killed ;; 4 | 14) cause=processes ;; esac
  case $verdict in 11 | 12 | 13 | 14) code=137 ;; esac
  if [ "$code" -ge 128 ] || [ "$cause" != exited ]; then end_family "$run" "$leader" "$leader_ticks"; fi
  close_streams
  bound_output
fi
read -r uptime_end _ </proc/uptime

peak=0
[ ! -e "$task/rss" ] || read -r peak <"$task/rss"
cpu=
[ ! -e "$task/times" ] || { read -r _; read -r cpu; } <"$task/times"
# Where the processes are none of ours, somebody else counted.
[ ! -s "$task/cpu" ] || read -r cpu <"$task/cpu"
printf '{"exitCode":%s,"cause":"%s","startedAt":%s,"uptimes":[%s,%s],"cpu":"%s","maxResidentSetSizeKb":%s,"mostProcesses":%s}\n' \
  "$code" "$cause" "$at" "$uptime_start" "$uptime_end" "$cpu" "${peak:-0}" "$most_processes" 1<>"$task/exit.new"
mv "$task/exit.new" "$task/exit.json"

# Wake whoever watches. A signal never blocks and needs no fork; its target is checked, for pids come again.
for watch in watches/*; do
  watch=${watch#watches/}
  is_alive "${watch%.*}" "${watch#*.}" && kill -USR1 "${watch%.*}"
done 2>/dev/null
exit 0
