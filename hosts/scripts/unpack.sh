# Unpacking archives that nobody vouches for. An archive is unpacked in a folder of its own beside scratch, looked
# through there, and only then moved in: nothing of it is ever written outside. Sourced by the scripts that stage.

refuse() {
  echo "$*" >&2
  return 1
}

# safe_names: fails when a name on stdin climbs out. One that begins with a slash does not: it loses that.
safe_names() {
  above=$(grep -E '^\.\.$|^\.\./|/\.\./|/\.\.$' | head -n 1)
  [ -z "$above" ] || refuse "a member is named outside of the folder: $above"
}

# safe_members: the same for `tar -tv` on stdin, about kinds: devices, and hard links that lead out.
safe_members() {
  ! grep -q -E '^[bc]|^h.* link to (\.\./|.*/\.\./)' || refuse 'a member is a device or a hard link to the outside'
}

# settle FOLDER SCRATCH: moves what was unpacked into scratch. Symbolic links stay what they are, wherever they lead: they
# are for the job's containers, and who opens something in scratch looks where it is.
settle() {
  chmod -R u+rwX "$1"
  [ -z "$(find "$1" \( -type b -o -type c \) -print)" ] || { refuse 'a member is a device'; return 1; }
  # Links instead of copies: the same file system, and folders are merged with what is there. Through a link that is there
  # nothing is written.
  cp -rlPf "$1/." "$2/"
}

# read_tar RULE FILE CODE_FILE OPTION...: tar over what FILE holds. That something stands behind its end is no failure.
read_tar() {
  rule=$1 file=$2 code=$3
  shift 3
  case $rule in
    tar) tar "$@" -f "$file" ;;
    tgz) { gunzipped "$file"; echo $? >"$code"; } | read_all "$@" && warned "$code" 2 ;;
    tbz) { bzip2 -dc <"$file"; echo $? >"$code"; } | read_all "$@" && warned "$code" 0 ;;
  esac
}

# gunzipped FILE: 2 is a warning. It takes a single byte behind the end for the begin of more that was cut short, unless
# more follows.
gunzipped() { { cat "$1"; printf '\0\0\0\0'; } | gzip -dc; }

# read_all OPTION...: tar over stdin, to the end of it: its writer must not be cut off.
read_all() (
  tar "$@" -f -
  status=$?
  cat >/dev/null
  exit "$status"
)

# warned CODE_FILE MOST: the program that left its exit code there did its work, though it may have warned.
warned() {
  read -r left <"$1" && { [ "$left" = 0 ] || [ "$left" = "$2" ]; }
}

# unzipped OPTION...: unzip, for which 1 is a warning.
unzipped() {
  unzip "$@"
  [ "$?" -le 1 ]
}

# unpack RULE FILE SCRATCH NAME WORK: FILE is unpacked to SCRATCH by a rule; WORK is an empty folder to use.
unpack() {
  case $1 in
    tar | tgz | tbz)
      read_tar "$1" "$2" "$5.code" -t >"$5.names" && safe_names <"$5.names" &&
        read_tar "$1" "$2" "$5.code" -tv >"$5.members" && safe_members <"$5.members" &&
        read_tar "$1" "$2" "$5.code" --no-same-owner -xp -C "$5" && settle "$5" "$3"
      ;;
    zip)
      # It tells of an archive without members with 1, and says so where the names would be.
      unzipped -Z1 "$2" >"$5.names" && safe_names <"$5.names" && unzipped -q -o "$2" -d "$5" && settle "$5" "$3"
      ;;
    gz)
      { gunzipped "$2" >"$5/file"; echo $? >"$5.code"; } && warned "$5.code" 2 &&
        chmod "$(stat -c %a "$2")" "$5/file" && mv -fT "$5/file" "$3/$4"
      ;;
    bz2) bzip2 -dc <"$2" >"$5/file" && chmod "$(stat -c %a "$2")" "$5/file" && mv -fT "$5/file" "$3/$4" ;;
  esac
}

# has_tool_for RULE
has_tool_for() {
  case $1 in
    tgz | gz) command -v gzip >/dev/null ;;
    tbz | bz2) command -v bzip2 >/dev/null ;;
    zip) command -v unzip >/dev/null ;;
  esac
}

# tidy FOLDER: away with what an unpacking used.
tidy() {
  chmod -R u+rwX "$1" 2>/dev/null
  rm -rf "$1" "$1".names "$1".members "$1".code
}
