# discard.sh [FOLDER...]
#
# Removes folders of runs that were put aside in `removed`: those that its caller names, or without any all that nobody is
# removing. The name of each ends with PID.TICKS of whoever removes it. Answers a line for each that can't be removed.
set -u
. "${0%/*}/processes.sh"

ticks_of $$
own=$$.$ticks

# discard FOLDER: fails when somebody else has it. Never into another file system: what is mounted there is not ours.
discard() {
  token=${1##*/} token=${token%.*.*}
  mine=removed/$token.$own
  mv -T "$1" "$mine" 2>/dev/null || return 1
  rm -rf --one-file-system "$mine" 2>/dev/null && return
  # Folders the job left without permission, each before it is looked into.
  find "$mine" -xdev -type d ! -perm -700 -exec chmod u+rwx {} \; 2>/dev/null
  problem=$(rm -rf --one-file-system "$mine" 2>&1 | tail -n 1)
  [ ! -e "$mine" ] || echo "could not remove runs/$token: $problem"
}

for folder; do discard "$folder"; done
[ $# = 0 ] || exit 0
# Others come while these are removed.
found=1
while [ -n "$found" ]; do
  found=
  for folder in removed/*; do
    [ -d "$folder" ] || continue
    owner=${folder##*/} owner=${owner#"${owner%.*.*}".}
    is_alive "${owner%.*}" "${owner#*.}" || ! discard "$folder" || found=1
  done
done
