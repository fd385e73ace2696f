# Storage that is mounted for a run, at runs/TOKEN/mounts/0. Sourced, after processes.sh, by the scripts that make, use
# and end it. Beside the mount are `keeper` and `server`, the processes that hold it, and `closed` when it is to end.
# A mount whose server is gone may let whoever touches it wait: nothing here looks into one.
cd -P . || exit 1

# As the kernel writes it in its list of mounts.
case $PWD in
  *[\\\ ]*) work_directory=$(printf '%s' "$PWD" | sed 's/\\/\\134/g; s/ /\\040/g') ;;
  *) work_directory=$PWD ;;
esac

# holds_mounts FOLDER: something is mounted in it.
holds_mounts() {
  while read -r _ _ _ _ mount_point _; do
    case $mount_point in "$work_directory/$1/"*) return 0 ;; esac
  done </proc/self/mountinfo
  return 1
}

# is_mounted RUN
is_mounted() { holds_mounts "$1/mounts"; }

# holder RUN keeper|server: sets `holder` and `holder_ticks` to that process; fails when it does not live.
holder() {
  holder= holder_ticks= holder_boot=
  { read -r holder holder_ticks holder_boot <"$1/mounts/$2"; } 2>/dev/null
  boot_id
  [ "$holder_boot" = "$boot" ] && is_alive "$holder" "$holder_ticks"
}

# detach RUN [OPTION]: ends the mount. With -z at once, whoever still uses it and whether or not its server answers.
detach() {
  unmounter=fusermount3
  command -v fusermount3 >/dev/null || unmounter=fusermount
  "$unmounter" -u ${2:+"$2"} "$PWD/$1/mounts/0" 2>/dev/null
}

# sever RUN: whoever waits for the storage gets an error, and what it did not take yet is lost.
sever() {
  ! holder "$1" server || kill -KILL "$holder" 2>/dev/null
  ! is_mounted "$1" || detach "$1" -z
}

# end_family RUN LEADER TICKS: as kill_family, also for processes that wait for a storage without an end.
end_family() {
  kill_family "$2" "$3" && return
  [ -d "$1/mounts" ] || return
  sever "$1"
  kill_family "$2" "$3"
}

# stored RUN FOLDER: sets `inside` to the real path of a folder of the mounted storage. Needs folders.sh, as do the next.
stored() {
  is_mounted "$1" && inside=$(enter "$PWD/$1/mounts/0" "$2" && can_be_bound "$here" && printf %s "$here")
}

# read_stored RUN PATH: a file of the storage, to stdout. dd, standing in the file's folder, follows no link out of it.
read_stored() (
  is_mounted "$1" || { echo 'the storage is not mounted any more' >&2; exit 1; }
  enter_above "$PWD/$1/mounts/0" "$2" && [ -f "./$base" ] ||
    { echo 'there is no such file in the storage' >&2; exit 1; }
  exec dd "if=./$base" iflag=nofollow bs=1M status=none
)

# write_stored RUN PATH: a file of the storage, from stdin; folders are made.
write_stored() (
  is_mounted "$1" || { echo 'the storage is not mounted any more' >&2; exit 1; }
  enter_above "$PWD/$1/mounts/0" "$2" make
  case $? in
    0) exec dd "of=./$base" oflag=nofollow bs=1M status=none ;;
    2) echo 'it leads out of the storage' >&2 ;;
  esac
  exit 1
)

# rclone_at FOLDER ARGUMENT...: rclone in place of this process, which makes its folders there and none in the home directory.
rclone_at() {
  mkdir -p "$1" && export HOME="$1" XDG_CONFIG_HOME="$1" XDG_CACHE_HOME="$1" || exit 1
  shift
  exec rclone "$@"
}
