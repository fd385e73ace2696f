# Transfers of a run: scripts that move its data, and that must not go on when the run is removed, or when somebody does
# the same anew because their caller died. Sourced by them and by who removes runs; needs processes.sh.

# begin_transfer RUN NAME: this script is one, until it calls end_transfer.
begin_transfer() {
  ticks_of $$
  boot_id
  mkdir -p "$1/transfers" && echo "$$ $ticks $boot" >"$1/transfers/$2.$$"
  transfer=$1/transfers/$2.$$
}

end_transfer() { rm -f "$transfer"; }

# end_transfers RUN [NAME]: ends those of that name, or all. TERM first, as scripts tidy up after themselves.
end_transfers() {
  for each in "$1"/transfers/*; do
    name=${each##*/}
    case $name in *.$$) continue ;; "${2:-${name%.*}}".*) ;; *) continue ;; esac
    mover= moved_since= at_boot=
    { read -r mover moved_since at_boot <"$each"; } 2>/dev/null
    boot_id
    if [ "$at_boot" = "$boot" ] && is_alive "$mover" "$moved_since" && group_of "$mover"; then
      kill -TERM "-$group" 2>/dev/null
      now
      patience=$((now + 200))
      while is_alive "$mover" "$moved_since" && [ "$now" -lt "$patience" ]; do
        sleep 0.05
        now
      done
      kill -KILL "-$group" 2>/dev/null
    fi
    rm -f "$each"
  done
}

# group_of PID: sets `group` to its process group.
group_of() {
  group=
  { read -r stat_line <"/proc/$1/stat"; } 2>/dev/null || return 1
  # shellcheck disable=SC2086
  set -- ${stat_line##*) }
  group=${3:-}
  [ -n "$group" ]
}
