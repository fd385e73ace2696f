# udocker, where a machine has it. Its engine is kept in the work directory, apart from what the account may have of its
# own. Sourced by the other scripts. Images are made by our own reader of registries and archives (oci.py): udocker's would put a
# password on a command line, and unpacks a layer through the links of earlier ones. It makes no namespaces; namespaces.py
# does where the machine lets an ordinary user have them. Elsewhere a job can see and end others of the account.

# find_udocker: sets `udocker` to the program and `python` to what runs it (words). Fails without a Python 3 one.
find_udocker() {
  udocker=$(command -v udocker) || return 1
  shebang=
  { IFS= read -r shebang <"$udocker"; } 2>/dev/null
  case $shebang in '#!'*python*) python=${shebang#??} ;; *) return 1 ;; esac
  # shellcheck disable=SC2086
  $python -c 'import sys; sys.exit(sys.version_info < (3, 6))' 2>/dev/null
}

# udocker_at FOLDER: what udocker makes goes to FOLDER, and its engine is ours.
udocker_at() {
  mkdir -p "$1/containers" "$1/repos" "$1/layers" "$1/tmp" || return 1
  export HOME="$PWD/udocker" UDOCKER_DIR="$PWD/udocker/engine" PYTHONDONTWRITEBYTECODE=1
  export UDOCKER_CONTAINERS="$1/containers" UDOCKER_REPOS="$1/repos" UDOCKER_LAYERS="$1/layers" UDOCKER_TMP="$1/tmp"
}

# install_engine WORK: as udocker does at first use, once per machine.
install_engine() {
  [ ! -d udocker/engine ] || return 0
  mkdir -p udocker
  UDOCKER_DIR="$1/engine" "$udocker" -q install >&2 && mv -T "$1/engine" udocker/engine 2>/dev/null
  [ -d udocker/engine ]
}
