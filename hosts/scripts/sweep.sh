# sweep.sh [RECORD...]
#
# Removes containers of podman and docker that nobody waits for any more: those of the records (see engine.sh), or
# without any all whose process is gone. Fails where one may still be there; its record stays, for another time.
set -u
umask 022
. "${0%/*}/processes.sh"
. "${0%/*}/engine.sh"

boot_id
status=0 given=$#
[ "$given" -gt 0 ] || set -- containers/*
for record in "$@"; do
  engine_name= name= at_boot= init= init_ticks=
  { read -r engine_name name at_boot init init_ticks <"$record"; } 2>/dev/null
  [ -n "$at_boot" ] || { [ ! -e "$record" ] || [ "$given" = 0 ] || status=1; continue; }
  waiting=${record##*/}
  if [ "$given" = 0 ] && [ "$at_boot" = "$boot" ] && is_alive "${waiting%.*}" "${waiting#*.}"; then continue; fi
  # Also where the engine has forgotten it.
  [ "$at_boot" != "$boot" ] || ! is_alive "$init" "$init_ticks" || kill -KILL "$init" 2>/dev/null
  if find_engine "$engine_name" && drop_container "$name"; then rm -f "$record" "containers/.${record##*/}.init"; else status=1; fi
done
exit "$status"
