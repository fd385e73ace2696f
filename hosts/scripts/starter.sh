# starter.sh
#
# Starts launches one after the other for as long as its stdin is open: a small shell forks in a millisecond, where a
# large process that asks for a shell of its own each time pays many. Per launch, stdin holds a line with the arguments
# of supervise.sh, the launch text up to its boundary, and a line `end BOUNDARY`; the answer is that of supervise.sh,
# followed by a line that is a single dot.
set -u
scripts=${0%/*}
exec 3<&0
echo ready
echo .
while read -r arguments; do
  # shellcheck disable=SC2086
  set -- $arguments
  # A session of its own, as no signal meant for us must reach it. It reads its text from our stdin, and no more.
  answer=$(setsid sh "$scripts/supervise.sh" "$@" <&3 3<&- &)
  # One that had nothing to start left its text unread.
  while IFS= read -r line && [ "$line" != "end $8" ]; do :; done
  printf '%s\n.\n' "$answer"
done
