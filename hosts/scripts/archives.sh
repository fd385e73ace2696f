# What an archive of an image holds, and what Apptainer would silently take for something else, or refuse in words that
# nobody understands. Sourced by pull-image.sh, which sets `work` and `most`.

# plain_archive: has $work/download without the compression of the whole.
plain_archive() {
  packed=$(packing "$work/download")
  case $packed in
    gzip)
      gzip -dc <"$work/download" >"$work/plain" || {
        [ "$(stat -c %s "$work/plain")" -le "$most" ] || fail invalid "the archive unpacks to more than $((most / 1000000000)) GB, the most that is taken here"
        fail invalid 'the archive is damaged'
      }
      mv "$work/plain" "$work/download"
      ;;
    '') ;;
    *) fail invalid "the archive is compressed with $packed: only gzip is taken, or none" ;;
  esac
}

packing() { # FILE
  case $(head -c 6 "$1" | od -An -tx1 | tr -d ' \n') in
    1f8b*) echo gzip ;;
    fd377a585a00) echo xz ;;
    425a68*) echo bzip2 ;;
    28b52ffd*) echo zstd ;;
  esac
}

# archive_source: sets `archive_source` to what Apptainer is to build the archive $work/download from.
archive_source() {
  tar -tf "$work/download" >"$work/names" || fail invalid 'the archive is no tar'
  named=$(grep -xE '(\./)*manifest\.json' "$work/names" | head -n 1)
  if [ -n "$named" ]; then
    only_one '"Config":' "$named"
    archive_source=docker-archive:$work/download
    return
  fi
  named=$(grep -xE '(\./)*index\.json' "$work/names" | head -n 1)
  [ -n "$named" ] || fail invalid 'the archive holds no image: it has neither a manifest.json, as docker saves it, nor an index.json'
  only_one '"digest":' "$named"
  unpack_layout
  archive_source=oci:$work/layout
}

only_one() { # WORD NAME: fails unless the file of the archive tells of one image.
  images=$(tar -xOf "$work/download" "$2" | head -c 4194304 | tr -d ' \t\r\n' | grep -o "$1" | grep -c .)
  [ "$images" = 1 ] || fail invalid "the archive holds $images images, and only one could be meant: save one only"
}

# unpack_layout: an OCI layout becomes a folder, of plain files that are what their names say and nothing else.
unpack_layout() {
  mkdir "$work/layout" || fail build "$?"
  grep -xE '(\./)*(oci-layout|index\.json|blobs/sha256/[0-9a-f]{64})' "$work/names" >"$work/wanted"
  tar -xof "$work/download" -C "$work/layout" -T "$work/wanted" || fail invalid 'the archive is damaged'
  [ -z "$(find "$work/layout" ! -type d \( ! -type f -o -links +1 \))" ] || fail invalid 'the archive holds links in place of the parts of its image'
  for part in "$work/layout/blobs/sha256"/*; do
    [ -f "$part" ] || fail invalid 'the archive holds no part of its image'
    part_sum=$(sha256sum <"$part")
    [ "${part_sum%% *}" = "${part##*/}" ] || fail invalid "what the archive holds as sha256:${part##*/} is something else"
  done
}

# find_unusual FOLDER...: of the parts of an image that Apptainer has just used, wherever its version keeps them, tells what it does not look at, or tells badly:
# a layer compressed in ways that the specification of images does not know, and another kind of machine. Fails when there
# is nothing to tell.
find_unusual() {
  for folder in "$@"; do
    for part in "$folder"/*; do
      [ -f "$part" ] && is_unusual "$part" && return 0
    done
  done
  return 1
}

is_unusual() { # FILE
  packed=$(packing "$1")
  case $packed in
    xz | bzip2)
      echo "a layer of the image is compressed with $packed: only gzip and zstd are taken, or none"
      return 0
      ;;
    '') ;;
    *) return 1 ;;
  esac
  [ "$(stat -c %s "$1")" -le 4194304 ] && [ "$(head -c 1 "$1" | tr -d '\0')" = '{' ] && grep -q '"diff_ids"' "$1" || return 1
  made=$(tr -d ' \t\r\n' <"$1" | grep -o '"architecture":"[^"]*"' | cut -d '"' -f 4 | tr -cd 'A-Za-z0-9_\n')
  case $(uname -m) in
    x86_64) wanted='amd64 x86_64 386' ;;
    aarch64) wanted='arm64 aarch64' ;;
    armv7l) wanted=arm ;;
    i686) wanted=386 ;;
    *) wanted=$(uname -m) ;;
  esac
  [ -n "$made" ] || return 1
  # A label may be called so as well; it is enough if one of them fits.
  for each in $made; do case " $wanted " in *" $each "*) return 1 ;; esac; done
  echo "the image is made for linux/$(echo "$made" | head -n 1 | head -c 40), and this machine is linux/${wanted%% *}"
}
