# unmount.sh TOKEN PATIENCE_SECONDS [MOST_SECONDS]
#
# Ends the storage of a run for good, after it took what was written: as long as it takes something within the patience,
# and no longer than MOST. Answers `unmounted`, or `failed DETAIL` when it did not take all. Safe to repeat, and safe
# where nothing was ever mounted.
set -u
umask 022
. "${0%/*}/processes.sh"
. "${0%/*}/mounts.sh"

run=runs/$1 patience=$(($2 * 100)) most=${3:+$(($3 * 100))}
mounts=$run/mounts
[ -d "$mounts" ] || { echo unmounted; exit; }
: >"$mounts/closed"
boot_id
ticks_of $$
echo "$$ $ticks $boot" >"$mounts/ending"

# undelivered: sets `left` to the number of files that the storage did not take yet.
undelivered() { left=$(grep -rls '"Dirty": *true' "$mounts/cache/vfsMeta" 2>/dev/null | wc -l); }

# stirring: the server goes on, and not long ago it moved some bytes or was done with a file.
stirring() {
  holder "$run" server || return 1
  now
  bytes=0
  { while read -r key value; do case $key in rchar: | wchar:) bytes=$((bytes + value)) ;; esac; done <"/proc/$holder/io"; } 2>/dev/null
  if [ "$left" != "$left_then" ] || [ $((bytes - bytes_then)) -gt 65536 ]; then
    left_then=$left bytes_then=$bytes stirred=$now
  fi
  [ $((now - stirred)) -lt "$patience" ] || return 1
  [ -z "$most" ] || [ $((now - began)) -lt "$most" ]
}

now
began=$now stirred=$now left_then= bytes_then=0
undelivered
pause=0.1
while [ "$left" != 0 ] && stirring; do
  sleep "$pause"
  pause=0.5
  undelivered
done

# Whoever still uses it does not keep it for long.
tries=0
while is_mounted "$run" && ! detach "$run" && [ "$tries" -lt 10 ]; do
  sleep 0.2
  tries=$((tries + 1))
done
! is_mounted "$run" || detach "$run" -z
# OneData's client delivers what it holds when it is unmounted.
kind=
{ read -r kind <"$mounts/kind"; } 2>/dev/null
now
deadline=$((now + 1000))
while holder "$run" server; do
  if [ "$kind" = onedata ]; then stirring; else now && [ "$now" -lt "$deadline" ]; fi || break
  sleep 0.05
done
if holder "$run" server; then
  kill -TERM "$holder" 2>/dev/null
  deadline=$((now + 300))
  while holder "$run" server && [ "$now" -lt "$deadline" ]; do sleep 0.1; now; done
  sever "$run"
fi
now
deadline=$((now + 300))
while { holder "$run" keeper || holder "$run" server; } && [ "$now" -lt "$deadline" ]; do sleep 0.05; now; done

undelivered
if is_mounted "$run"; then
  echo 'failed the storage could not be unmounted'
elif [ "$left" != 0 ]; then
  words=$({ grep -v '^$' "$mounts/log" | tail -n 1 | sed 's|^[0-9/]* [0-9:]* *||' | tail -c 400 | tr '\n' ' '; } 2>/dev/null)
  echo "failed the storage did not take $left of the files that the job wrote${words:+: $words}"
else
  rm -rf --one-file-system "$mounts/cache"
  echo unmounted
fi
