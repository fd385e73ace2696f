# Folders that a job's processes may exchange for links at any moment, so that nothing is true of a path for long. One
# stands in a folder first, asks the kernel where that is, and goes on from there. Sourced by the scripts that follow a
# path that a job can change.

newline='
'

# here: sets `here` to the folder that this shell stands in. The kernel is asked, since some shells only tell what the
# path meant before they followed it.
here() { here=$(env pwd -P && echo .) && here=${here%?.}; }

# go_to FOLDER, a real path; fails when a link leads elsewhere by now.
go_to() { cd -P "$1" 2>/dev/null && here && [ "$here" = "$1" ]; }

# enter FOLDER PATH [make]: goes to PATH in FOLDER, which is a real path, and sets `here`. Fails with 2 when it leads out
# of FOLDER. With `make` folders that are missing are made, each where one stands already.
enter() {
  cd -P "$1" || return 1
  here=$1 rest=$2/
  while [ -n "$rest" ]; do
    part=${rest%%/*} rest=${rest#*/}
    case $part in '' | .) continue ;; esac
    [ -z "${3:-}" ] || [ -d "./$part" ] || mkdir "./$part" || [ -d "./$part" ] || return 1
    cd -P "./$part" 2>/dev/null && here || return 1
    case $here/ in "$1"/*) ;; *) return 2 ;; esac
  done
}

# enter_above FOLDER PATH [make]: the same of the folder that PATH is in. Sets `base` to its name there.
enter_above() {
  base=${2##*/}
  case $base in '' | . | ..) return 1 ;; esac
  enter "$1" "./${2%"$base"}" "${3:-}"
}

# can_be_bound PATH: a runtime would read it as what it is.
can_be_bound() { case $1 in *'"'* | *"$newline"* | *"$(printf '\r')"*) return 1 ;; esac; }
