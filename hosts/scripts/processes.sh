# Processes, read from /proc with shell builtins alone: these functions run many times a second for every task, and a
# fork costs more than all of them together. Sourced by the other scripts.

# ticks_of PID: sets `ticks` to the start time of a living process; with the pid it names a process uniquely per boot.
ticks_of() {
  ticks=
  { read -r stat_line <"/proc/$1/stat"; } 2>/dev/null || return 1
  # shellcheck disable=SC2086
  set -- "$1" ${stat_line##*) }
  case $2 in X | Z) ! is_over "$1" || return 1 ;; esac
  ticks=${21:-}
  [ -n "$ticks" ]
}

# is_over PID: of a process whose state is that of a zombie, or of one that is going, no thread lives. The state alone does
# not tell: it is that of the first thread, which ends before the others, and also while another one replaces the process by
# a new program, as container runtimes do when they start.
is_over() {
  set -- "$1" "/proc/$1/task/"*
  [ $# -le 2 ] || return 1
  # One thread: the last one of a dead process, or of the new program.
  { read -r stat_line_now <"/proc/$1/stat"; } 2>/dev/null || return 0
  case ${stat_line_now##*) } in Z*) return 0 ;; esac
  return 1
}

# is_alive PID TICKS: it is still the process that was written down, not another one that got its number.
is_alive() { [ -n "$1" ] && ticks_of "$1" && [ "$ticks" = "$2" ]; }

boot_id() { read -r boot </proc/sys/kernel/random/boot_id; }

# family PID: sets `helpers` to the children of PID (the container runtime's own: its init, its file system server) and
# `users` to everything below them. A process that called setsid or lost its parent is found too: inside its PID
# namespace it stays a descendant of the container's init. With udocker there is none: then `tracer` is its proot, and a
# process that lost its parent stands beside it. With podman and docker the init is told by a record (engine.sh).
# Counts their threads in `threads`, and goes no further once there are more than `enough`, where that is set.
threads=0 enough=
family() {
  helpers= users= tracer= generation=$1 depth=0
  if [ -d containers ] && ticks_of "$1" && [ -s "containers/$1.$ticks" ]; then
    init= init_ticks=
    read -r _ _ _ init init_ticks <"containers/$1.$ticks"
    is_alive "$init" "$init_ticks" || return 0
    helpers=" $init" generation=$init depth=1
  fi
  while [ -n "$generation" ]; do
    next=
    for parent in $generation; do
      [ -z "$enough" ] || [ "$threads" -le "$enough" ] || { users="$users $next"; return; }
      for list in "/proc/$parent/task/"*/children; do
        found=
        { read -r found <"$list"; } 2>/dev/null || :
        [ -z "$found" ] || next="$next $found"
        threads=$((threads + 1))
      done
    done
    case $depth in
      0)
        for child in $next; do
          { read -r name <"/proc/$child/comm"; } 2>/dev/null || name=
          case $name in proot*) tracer=" $child" ;; *) helpers="$helpers $child" ;; esac
        done
        [ -z "$tracer" ] || { users=$helpers helpers=; }
        ;;
      *) users="$users$next" ;;
    esac
    generation=$next depth=$((depth + 1))
  done
}

# members SESSION: sets `session_members` to the processes of a session. Reads all of /proc: for rare occasions only.
members() {
  session_members=
  for stat_file in /proc/[0-9]*/stat; do
    { read -r stat_line <"$stat_file"; } 2>/dev/null || continue
    member=${stat_file#/proc/} member=${member%/stat}
    # shellcheck disable=SC2086
    set -- "$1" ${stat_line##*) }
    [ "${5:-}" = "$1" ] || continue
    [ "$2" = Z ] && is_over "$member" || session_members="$session_members $member"
  done
}

# kill_family LEADER TICKS: nothing of a launch is left, or it fails.
kill_family() {
  end_container "$1" "$2"
  kill_processes "$1" "$2"
  killed=$?
  # It may have been made only just now.
  end_container "$1" "$2" && return "$killed"
}

# end_container LEADER TICKS: the same for a container that is no child of ours: its leader ends it when it is told to.
end_container() {
  [ -e "containers/$1.$2" ] || return 0
  if is_alive "$1" "$2" && kill -TERM "$1" 2>/dev/null; then
    now
    patience=$((now + 1500))
    while is_alive "$1" "$2" && [ "$now" -lt "$patience" ]; do
      sleep 0.05
      now
    done
    kill_processes "$1" "$2"
  fi
  [ ! -e "containers/$1.$2" ] || sh "${0%/*}/sweep.sh" "containers/$1.$2"
}

# kill_processes LEADER TICKS: KILL to the container's init first, which takes its whole PID namespace along and lets the runtime
# above it tidy up and be waited for; what then is left gets KILL itself. A tracer goes after what it traces, which would
# live on without it. Returns when nothing of the session is left.
kill_processes() {
  # The kernel gives a number again only when no process uses it as its session: then nothing is left of ours.
  if ticks_of "$1" && [ "$ticks" != "$2" ]; then return 0; fi
  sweep=0
  while [ "$sweep" -lt 100 ]; do
    family "$1"
    if [ "$sweep" -lt 20 ] && [ -n "$helpers$users$tracer" ]; then
      victims="$helpers $users"
      [ -n "$helpers$users" ] || victims=$tracer
    else
      members "$1"
      for root in $session_members; do
        family "$root"
        session_members="$session_members $helpers $users $tracer"
      done
      victims=$session_members
      [ -n "$victims" ] || return 0
    fi
    # shellcheck disable=SC2086
    kill -KILL $victims 2>/dev/null
    sleep 0.05
    sweep=$((sweep + 1))
  done
  return 1
}

# page_size: sets `page` to the KiB of a page of memory. It is looked up by its name: kernels before 4.14 tell it further down.
page_size() {
  page=4
  while read -r key kib _; do
    [ "$key" != KernelPageSize: ] || { page=$kib; break; }
  done </proc/self/smaps
}

# now: sets `now` to hundredths of a second since boot.
now() {
  read -r now _ </proc/uptime
  now=${now%.*}${now#*.}
}
