# What a run takes of its machine, whatever runs for it: its tasks, what runs beside them, and commands of users. Sourced,
# after processes.sh, by the scripts that hold a run to its limits, which set `run`, `memory` (KiB) and `most_processes`.
# Called every second for every task, so nothing here forks while memory is far from its limit.
#
# There may be no cgroup that counts, so this does. Files that are kept in memory count too: file systems of the run's
# containers, files without a name, shared memory of System V. They are looked at only when all that the machine has of
# these, which one file tells, could be too much together with the run's processes.

# limit_processes NUMBER: sets `most_processes` to that, or where it is 0 to what the machine is for (probe.sh).
limit_processes() {
  most_processes=$1
  [ "$1" = 0 ] || return 0
  most_processes=4096
  { read -r most_processes <usual-processes; } 2>/dev/null || :
}

# launches: sets `leaders` to those of all that runs for the run.
launches() {
  leaders=
  for record in "$run"/tasks/*/leader; do
    [ -s "$record" ] && [ ! -e "${record%/leader}/exit.json" ] || continue
    read -r other_leader other_ticks <"$record"
    ! is_alive "$other_leader" "$other_ticks" || leaders="$leaders $other_leader"
  done
  for record in "$run"/execs/*; do
    [ -e "$record" ] || continue
    record=${record##*/}
    ! is_alive "${record%.*}" "${record#*.}" || leaders="$leaders ${record%.*}"
  done
}

# weigh LEADER: sets `used` to the KiB of the run's processes, `own` to those of what LEADER leads (of its runtime where it
# has no processes of the user yet; then `own_users` is empty), `everyone` to the users' processes and `threads` to their number.
# No further than where there are more threads than may be.
weigh() {
  threads=0 enough=$most_processes
  family "$1"
  own_users=$users everyone=$users
  add_up "${users:-$1}"
  own=$used
  [ -n "$users" ] || used=0
  all=$used
  launches
  for leader_now in $leaders; do
    [ "$leader_now" != "$1" ] || continue
    family "$leader_now"
    add_up "$users"
    all=$((all + used)) everyone="$everyone $users"
  done
  used=$all enough=
}

# fell LEADER: the first process of a container takes all others with it.
fell() {
  threads=0 enough=0
  family "$1"
  enough=
  # shellcheck disable=SC2086
  [ -z "$helpers" ] || kill -KILL $helpers 2>/dev/null
}

# add_up PROCESSES: sets `used` to the KiB resident in them.
add_up() {
  used=0
  for process in $1; do
    pages=0
    { read -r _ pages _ <"/proc/$process/statm"; } 2>/dev/null || :
    used=$((used + pages * page))
  done
}

# is_too_much: fails while the run is within its memory. What the processes have resident, and what all of the machine has
# in memory without a file, are looked at first: together they are more than the run has, and mostly less than it may have.
look_closer=0 wary=
is_too_much() {
  in_memory=0
  [ -z "$wary" ] || while read -r key kib _; do
    [ "$key" != Shmem: ] || { in_memory=$kib; break; }
  done </proc/meminfo
  [ $((used + in_memory)) -gt "$memory" ] || return 1
  now
  [ "$used" -gt "$memory" ] || [ "$now" -ge "$look_closer" ] || return 1
  weigh_exactly
}

# weigh_exactly: sets `used` to what the run has in memory, and `beyond` to how much of it is in no process; fails where it may
# have that. Shared pages are divided among those who share them. Of a process that can't be asked, as one that just ended,
# counts what it has resident.
weigh_exactly() {
  sum=0 mapped=0
  for process in $everyone; do
    share= mapped_here=
    {
      while read -r key kib _; do
        case $key in
          Pss:) share=$kib ;;
          Pss_Shmem:) mapped_here=$kib; break ;;
        esac
      done <"/proc/$process/smaps_rollup"
    } 2>/dev/null
    [ -n "$share" ] || { add_up "$process"; share=$used; }
    # Kernels that don't tell it so tell it undivided, which lets more pass.
    [ -n "$mapped_here" ] || {
      while read -r key kib _; do
        [ "$key" != RssShmem: ] || { mapped_here=$kib; break; }
      done <"/proc/$process/status"
    } 2>/dev/null
    sum=$((sum + share)) mapped=$((mapped + ${mapped_here:-0}))
  done
  beyond=0
  if [ $((sum + in_memory)) -gt "$memory" ] && [ "$now" -ge "$look_closer" ]; then
    in_files
    [ "$files_kib" -le "$mapped" ] || beyond=$((files_kib - mapped))
    # What the machine has there may be others' for long.
    [ $(((sum + beyond) * 2)) -gt "$memory" ] || look_closer=$((now + 500))
  fi
  used=$((sum + beyond))
  [ "$used" -gt "$memory" ]
}

# in_files: sets `files_kib` to what the run keeps in memory as files: in file systems of its containers, as files without
# a name, and as shared memory of System V. What it has mapped of that is in its processes as well.
in_files() {
  files_kib=0 devices=' '
  # Those of the machine are nobody's.
  while read -r _ _ device _ rest; do
    case $rest in *' - tmpfs '*) devices="$devices$device " ;; esac
  done </proc/self/mountinfo
  set --
  for process in $everyone; do set -- "$@" "/proc/$process/ns/mnt" "/proc/$process/ns/ipc"; done
  [ $# -gt 0 ] || return 0
  seen=" $(stat -L -c %i /proc/self/ns/ipc) "
  places= inboxes=
  while read -r inode name; do
    case $seen in *" $inode "*) continue ;; esac
    seen="$seen$inode "
    process=${name#/proc/} process=${process%%/*}
    case $name in */ipc) inboxes="$inboxes $process" ;; *) memory_file_systems "$process" ;; esac
  done <<END
$(stat -L -c '%i %n' "$@" 2>/dev/null)
END
  if [ -n "$places" ]; then
    while read -r total free size; do
      files_kib=$((files_kib + (total - free) * size / 1024))
    done <<END
$(eval "timeout 5 stat -f -c '%b %f %S' $places" 2>/dev/null)
END
  fi
  unnamed_files
  for process in $inboxes; do system_v "$process"; done
}

# memory_file_systems PROCESS: appends to `places` where it sees one that was not seen yet, quoted.
memory_file_systems() {
  {
    while read -r _ _ device _ place rest; do
      case $rest in *' - tmpfs '*) ;; *) continue ;; esac
      case $devices in *" $device "*) continue ;; esac
      case $place in *[!A-Za-z0-9_./@:+,=-]*) place=$(printf "%b.\n" "$place" | sed "s/'/'\\\\''/g"); place=${place%.} ;; esac
      devices="$devices$device " places="$places '/proc/$1/root$place'"
    done <"/proc/$1/mountinfo"
  } 2>/dev/null
}

unnamed_files() {
  set --
  for process in $everyone; do set -- "$@" "/proc/$process/fd"; done
  found=$(find "$@" -lname '/memfd:*' 2>/dev/null)
  [ -n "$found" ] || return 0
  while read -r inode blocks; do
    case $seen in *" memfd$inode "*) continue ;; esac
    seen="$seen memfd$inode " files_kib=$((files_kib + blocks / 2))
  done <<END
$(stat -L -c '%i %b' $found 2>/dev/null)
END
}

# system_v PROCESS: of its namespace, which is entered to be asked.
system_v() {
  while read -r _ id _ _ _ _ _ _ _ _ _ _ _ _ resident _; do
    case $id in *[!0-9]* | '') continue ;; esac
    files_kib=$((files_kib + ${resident:-0} / 1024))
  done <<END
$(timeout 5 nsenter --preserve-credentials -U -i -t "$1" cat /proc/sysvipc/shm 2>/dev/null)
END
}

# leave_room: in a process that becomes a container. What it has of the processors comes after what watches it, so that the
# watch gets to see its processes, however many they are. The kernel, where it counts them for a container, makes them
# hardly more than the watch needs to see that they are too many. And the account's limit of processes stays a little higher for those of
# ours: they still get a process when the container has taken all that it can have.
niceness=10
leave_room() {
  limit_files
  processes_at_all=$((most_processes + 64))
  # Written by the probe: shells read these of the kernel's numbers digit by digit, and get the first one.
  room=
  { read -r room <most-processes; } 2>/dev/null
  # dash has another letter for it than bash.
  given=$(ulimit -u 2>/dev/null || ulimit -p 2>/dev/null)
  case $given in '' | *[!0-9]*) ;; *) [ "${room:-$given}" -lt "$given" ] || room=$given ;; esac
  [ -n "$room" ] || return 0
  reserve=$((room / 8))
  [ "$reserve" -le 512 ] || reserve=512
  ulimit -u $((room - reserve)) 2>/dev/null || ulimit -p $((room - reserve)) 2>/dev/null || :
}

# limit_files: of what each process has open, which is memory of the kernel that no process shows.
most_files=16384
limit_files() {
  # Where what a program gets at first is more already, both become less; where none may be more, none is.
  ulimit -Hn "$most_files" 2>/dev/null || ulimit -n "$most_files" 2>/dev/null || :
}
