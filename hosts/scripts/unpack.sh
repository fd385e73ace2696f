# Unpacking archives that nobody vouches for. An archive is unpacked in a folder of its own beside scratch, looked
# through there, and only then moved in: nothing of it is ever written outside. Sourced by the scripts that stage.

refuse() {
  echo "$*" >&2
  return 1
}

# safe_names: fails when a name on stdin is absolute or climbs out.
safe_names() {
  ! grep -q -E '^/|^\.\.$|^\.\./|/\.\./|/\.\.$' || refuse 'a member is named outside of the folder'
}

# safe_members: the same for `tar -tv` on stdin, about kinds: devices, and hard links that lead out.
safe_members() {
  ! grep -q -E '^[bc]|^h.* link to (/|\.\./|.*/\.\./)' || refuse 'a member is a device or a hard link to the outside'
}

# settle FOLDER SCRATCH: moves what was unpacked into scratch, unless a symbolic link in it leads out of scratch.
settle() {
  chmod -R u+rwX "$1"
  find "$1" -type l -print >"$1.links" || return 1
  while IFS= read -r link; do
    target=$(readlink "$link") || return 1
    place=${link#"$1"}
    case $target in
      /*) target=$(realpath -m -- "$target") ;;
      *) target=$(realpath -m -s -- "/scratch${place%/*}/$target") ;;
    esac
    case $target in
      /scratch | /scratch/* | /home/user | /home/user/*) ;;
      *) refuse "the symbolic link ${place#/} leads outside"; return 1 ;;
    esac
  done <"$1.links"
  [ -z "$(find "$1" \( -type b -o -type c \) -print)" ] || { refuse 'a member is a device'; return 1; }
  # Links instead of copies: the same file system, and folders are merged with what is there.
  cp -rlPf "$1/." "$2/"
}

# unpack RULE FILE SCRATCH NAME WORK: FILE is unpacked to SCRATCH by a rule; WORK is an empty folder to use.
unpack() {
  case $1 in
    tar | tgz | tbz)
      case $1 in tar) flag= ;; tgz) flag=-z ;; tbz) flag=-j ;; esac
      tar $flag -tf "$2" >"$5.names" && safe_names <"$5.names" &&
        tar $flag -tvf "$2" >"$5.members" && safe_members <"$5.members" &&
        tar $flag --no-same-owner -xpf "$2" -C "$5" && settle "$5" "$3"
      ;;
    zip)
      unzip -Z1 "$2" >"$5.names" && safe_names <"$5.names" && unzip -q -o "$2" -d "$5" && settle "$5" "$3"
      ;;
    gz) gzip -dc <"$2" >"$5/file" && chmod "$(stat -c %a "$2")" "$5/file" && mv -fT "$5/file" "$3/$4" ;;
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
  rm -rf "$1" "$1".names "$1".members "$1".links
}
