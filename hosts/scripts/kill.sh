# kill.sh TOKEN GRACE_SECONDS [keep]
#
# Ends whatever runs for a run and forbids further starts; returns when nothing is left. Safe to repeat, and safe where
# the run was never started. The supervisor does the work where it lives: it goes on when this connection is cut. The
# storage that is mounted for the run ends as well, unless it is to be kept for what comes after the tasks.
set -u
umask 022
. "${0%/*}/processes.sh"
. "${0%/*}/mounts.sh"

run=runs/$1 grace=$2
mkdir -p "$run/tasks" || exit 1
echo "$grace" >"$run/killed"
boot_id

finished() { [ -e "$1/exit.json" ] || [ -e "$1/lost" ]; }

for task in "$run"/tasks/*; do
  [ -e "$task/started" ] || continue
  pid= started= at_boot=
  read -r pid started at_boot _ <"$task/started"
  [ "$at_boot" = "$boot" ] || continue
  if is_alive "$pid" "$started"; then
    kill -TERM "$pid" 2>/dev/null
    now
    patience=$((now + grace * 100 + 3000)) pause=0.02
    while is_alive "$pid" "$started" && [ "$now" -lt "$patience" ]; do
      sleep "$pause"
      pause=0.1
      now
    done
    ! is_alive "$pid" "$started" || kill -KILL "$pid" 2>/dev/null
  fi
  finished "$task" && continue
  : >"$task/lost"
  [ -s "$task/leader" ] || continue
  read -r leader leader_ticks <"$task/leader"
  users=
  ! is_alive "$leader" "$leader_ticks" || family "$leader"
  # shellcheck disable=SC2086
  [ -z "$users" ] || kill -TERM $users 2>/dev/null
  now
  until=$((now + grace * 100))
  while [ -n "$users" ] && [ "$now" -lt "$until" ]; do
    sleep 0.1
    family "$leader"
    now
  done
  end_family "$run" "$leader" "$leader_ticks" || { echo "processes of $task do not end" >&2; exit 1; }
done
# Short, since somebody wants it to end: what was written has half a minute to get to the storage.
[ "${3:-}" = keep ] || [ ! -d "$run/mounts" ] || sh "${0%/*}/unmount.sh" "$1" 20 30 >/dev/null
exit 0
