# exec.sh TOKEN LIMIT_SECONDS MEMORY_KB BOUNDARY PROCESSES [apart]
#
# Runs a command beside the tasks of a run, in a container like that of the task that was started last. Says `task INDEX`
# of that launch; then stdin holds the name of its image, the launch text and a line BOUNDARY, and stays open as long as
# somebody wants the command to go on. After the first line stdout is what the command writes to stdout and stderr. The
# last line on stderr is `ended CODE VERDICT` (0 it ended, 1 too long, 2 too much memory, 3 the run ended, 4 nobody wants
# it any more, 5 too many processes), or `refused WHY`. Memory and processes are those of all that runs for the run.
set -u
umask 022

# A session of its own: whatever ends the one that asked, somebody is left to end the command.
if [ "${6:-}" != apart ]; then
  exec 3<&0
  (exec setsid sh "$0" "$@" apart <&3 3<&-) &
  wait "$!"
  exit
fi
. "${0%/*}/processes.sh"
. "${0%/*}/mounts.sh"
. "${0%/*}/folders.sh"
. "${0%/*}/network.sh"
. "${0%/*}/container.sh"
. "${0%/*}/usage.sh"

run=runs/$1 limit=$2 memory=$3 boundary=$4
limit_processes "$5"

refuse() {
  echo "refused $1" >&2
  exit
}

[ ! -e "$run/killed" ] || refuse 'the job is being ended'
newest=-1
for task in "$run"/tasks/*; do
  [ -s "$task/started" ] && [ "${task##*/}" -gt "$newest" ] && newest=${task##*/}
done
[ "$newest" -ge 0 ] || refuse 'no task of the job has started yet'
echo "task $newest"
task=

IFS= read -r image || exit
launch= complete=
while IFS= read -r line; do
  [ "$line" != "$boundary" ] || { complete=1; break; }
  launch=$launch$line$newline
done
[ -n "$complete" ] || refuse 'the launch text was cut short'
if [ ! -e "$run/$image" ]; then
  # The name was made from what the registry says today.
  for file in "$run"/*."${image##*.}"; do [ -e "$file" ] || refuse 'the image of the task is gone'; done
  image=${file##*/}
fi
exec 3<&0 </dev/null
network_kind "$image"
[ "$kind" != podman ] || { . "${0%/*}/engine.sh" && find_engine podman; } || refuse 'this machine has no podman any more'
join_network "$run" "$kind" || refuse "$problem"

mkdir -p "$run/execs"
(
  exec 3<&-
  read -r self _ </proc/self/stat
  ticks_of "$self"
  command=$run/execs/$self.$ticks
  : >"$command"
  leave_room
  eval "$launch"
) 2>&1 &
leader=$!
ticks_of "$leader"
leader_ticks=$ticks
cat <&3 >/dev/null 2>&1 &
caller=$!
ticks_of "$caller"
caller_ticks=$ticks
exec 3<&-

watch_command() {
  verdict=0 wary=1
  trap 'exit "$verdict"' TERM
  page_size
  now
  deadline=$((now + limit * 100))
  while :; do
    sleep 0.1
    now
    weigh "$leader"
    if [ "$now" -ge "$deadline" ]; then
      verdict=1
    elif [ "$threads" -gt "$most_processes" ]; then
      verdict=5
    elif is_too_much; then
      verdict=2
    elif [ -e "$run/killed" ] || [ ! -d "$run/home" ]; then
      verdict=3
    elif ! is_alive "$caller" "$caller_ticks"; then
      verdict=4
    else
      continue
    fi
    [ "$verdict" != 5 ] || fell "$leader"
    kill_family "$leader" "$leader_ticks"
    exit "$verdict"
  done
}

watch_command </dev/null >/dev/null 2>&1 &
watcher=$!
wait "$leader"
code=$?
kill -TERM "$watcher" 2>/dev/null
wait "$watcher"
verdict=$?
# It may have been told before it could listen, and was ended by that.
[ "$verdict" -le 5 ] || verdict=0
kill_family "$leader" "$leader_ticks"
rm -f "$run/execs/$leader.$leader_ticks"
kill "$caller" 2>/dev/null
echo "ended $code $verdict" >&2
