# pull-image.sh KEY KIND REFERENCE INSECURE CONTENT SHA256 CACHE_BYTES MOST_BYTES FORM [FOLDER...]
#
# Has an image in the cache of this machine as images/SHA256-OF-THE-FILE.FORM. FORM is sif, or udocker: a tar of a
# container that udocker can run. With podman and docker the engine has the image, and the file, named by the image's own
# digest, has its size only: where there is such a file, in the cache or in a run, the image is kept. KIND is registry,
# archive or sif; what is not known is a single dash. A run gets a hard link to the file, so that removing an image from the
# cache never takes it from a running job. CONTENT names what the registry was asked about just now: it is a hash
# of the registry, the repository and the digest, so that what one registry gave is given only to whom the same one knows.
# No image takes more than MOST_BYTES. An archive or a sif with a REFERENCE is a file of this machine, in one
# of the FOLDERs, or with `mount RUN` for them a file of the storage that is mounted for a run. stdin: a user name and a
# password, a line each and perhaps empty (registry), or a line of curl configuration with the URL and another; it stays open
# for as long as somebody wants the image. Answers on stdout: `image completed|cached SHA256 BYTES`, or
# `failed STEP DETAIL` with STEP one of http, curl, path, checksum, invalid, runtime, build; the builder's own words are on stderr.
set -u
umask 022
. "${0%/*}/processes.sh"
. "${0%/*}/transfers.sh"
. "${0%/*}/mounts.sh"
. "${0%/*}/folders.sh"

key=$1 kind=$2 reference=$3 insecure=$4 content=$5 sha256=$6 capacity=$7 most=$8 form=$9
shift 9

# What comes from elsewhere and names a file here is nothing else than what it is to be.
is_sum() { [ "${#1}" = 64 ] && case $1 in *[!0-9a-f]*) false ;; esac }
case $key in '' | *[!A-Za-z0-9_-]*) echo 'not a cache key' >&2; exit 2 ;; esac
case $form in sif | udocker | podman | docker) ;; *) echo 'not a form of images' >&2; exit 2 ;; esac
for name in "$content" "$sha256"; do
  [ "$name" = - ] || is_sum "$name" || { echo 'failed checksum a SHA-256 is 64 hexadecimal digits'; exit; }
done
# The same source makes an image of each form.
of_form=
[ "$form" = sif ] || of_form=.$form
mkdir -p images/index images/digests images/sources images/locks images/tmp apptainer || exit 1
boot_id
ticks_of $$
own_ticks=$ticks

answer() { # STATUS SHA256
  echo "image $1 $2 $(stat -c %s "images/$2.$form")"
  exit 0
}

# remembered FILE: answers from a note that holds the name of a cached image, where both are still there.
remembered() {
  [ -s "$1" ] || return 0
  read -r name <"$1"
  is_sum "$name" || return 0
  # Touched by its use, which is what eviction goes by.
  [ ! -e "images/$name.$form" ] || ! touch -c "images/$name.$form" || { note "images/index/$key" "$name"; answer cached "$name"; }
}

note() { # FILE TEXT
  echo "$2" >"$1.$$" && mv "$1.$$" "$1"
}

# known: what may be answered without asking anybody anew. What has a digest never changes, so that who was once given it by
# this very name, with this very credential, has it also while the registry can't be asked. A checksum alone opens nothing:
# the bytes themselves must come from where the job may read them, or have come from this very source before.
known() {
  [ "$content" = - ] || remembered "images/digests/$content$of_form"
  case $kind:$content:$reference in registry:-:*@*) remembered "images/index/$key" ;; esac
  [ "$reference" != - ] || [ "$sha256" = - ] || remembered "images/sources/$key-$sha256$of_form"
}

fail() { # STEP DETAIL
  echo "failed $*"
  exit 0
}

known
IFS= read -r first
IFS= read -r second

# A pull that nobody waits for would hold the lock for as long as its source is silent. What ends it takes all of its
# process group along, so that builders end too.
group_of $$
exec 3<&0 </dev/null
{
  trap '' TERM
  cat <&3
  kill -TERM "-$group"
  sleep 5
  kill -KILL "-$group"
} >/dev/null 2>&1 &
caller=$!
exec 3<&-
give_up_caller() {
  children=
  read -r children <"/proc/$caller/task/$caller/children"
  # shellcheck disable=SC2086
  kill -KILL "$caller" $children
} 2>/dev/null
trap give_up_caller EXIT
# Told twice, by whoever gave up and by the end of its stdin, it must not be kept from tidying up.
trap 'trap "" TERM HUP INT; exit 143' TERM HUP INT

# One pull of the same thing at a time. The holder is written down, so that a lock outlives nobody.
if [ "$content" != - ]; then lock=images/locks/$content$of_form; else lock=images/locks/$key; fi
claim() {
  set -C
  { echo "$$ $own_ticks $boot" >"$lock"; } 2>/dev/null
  claimed=$?
  set +C
  return $claimed
}
# On a full disk a claim can be made and never be written.
need_room() {
  { echo room >"images/locks/.room.$$"; } 2>/dev/null
  status=$?
  rm -f "images/locks/.room.$$"
  [ "$status" = 0 ] || { echo 'no space left on device' >&2; exit 1; }
}
need_room
waited= doubtful=0
until claim; do
  waited=1 holder= holder_ticks= holder_boot=
  { read -r holder holder_ticks holder_boot <"$lock"; } 2>/dev/null
  if [ -z "$holder_boot" ]; then
    # Just claimed and not yet written, or its owner died between the two.
    doubtful=$((doubtful + 1))
    [ "$doubtful" -lt 20 ] || { rm -f "$lock"; doubtful=0; need_room; }
  elif [ "$holder_boot" != "$boot" ] || ! is_alive "$holder" "$holder_ticks"; then
    rm -f "$lock"
  fi
  sleep 0.2
done
trap 'give_up_caller; rm -rf "$work"; rm -f "$lock"' EXIT
work=$PWD/images/tmp/$$.$own_ticks.$boot
mkdir -p "$work/tmp" "$work/cache"

known
# Somebody else just pulled it: as fresh as our own pull would be.
[ -z "$waited" ] || remembered "images/index/$key"

# What pulls left that were cut short.
for left in images/tmp/*; do
  owner=${left##*/} left_boot=${left##*.}
  owner=${owner%.*}
  [ "$left_boot" = "$boot" ] && is_alive "${owner%.*}" "${owner#*.}" && continue
  chmod -R u+rwX "$left" 2>/dev/null
  rm -rf "$left"
done

. "${0%/*}/engine.sh"
case $form in
  udocker)
    . "${0%/*}/udocker.sh"
    find_udocker || fail runtime 'this machine has no udocker'
    ;;
  podman | docker) find_engine "$form" || fail runtime "this machine has no $form, or no Python 3" ;;
  *)
    runtime=apptainer
    command -v apptainer >/dev/null || runtime=singularity
    command -v "$runtime" >/dev/null || fail runtime 'this machine has neither apptainer nor singularity'
    ;;
esac
# No file of an image is larger than all of it; what is packed into one file has a little more.
ulimit -f "$((most / 512 + most / 5120 + 20480))" 2>/dev/null
export APPTAINER_CACHEDIR="$work/cache" APPTAINER_TMPDIR="$work/tmp" APPTAINER_CONFIGDIR="$PWD/apptainer"
export SINGULARITY_CACHEDIR="$work/cache" SINGULARITY_TMPDIR="$work/tmp" TMPDIR="$work/tmp"

. "${0%/*}/archives.sh"

build() { # SOURCE
  set -- "$work/image.sif" "$1"
  # Packing fast beats packing small: an image is read on this machine only.
  "$runtime" build --help 2>/dev/null | grep -q mksquashfs-args && set -- --mksquashfs-args '-comp zstd -Xcompression-level 1' "$@"
  [ "$insecure" = 0 ] || set -- --no-https "$@"
  "$runtime" -s build "$@" </dev/null >&2
  problem=$?
  unusual=$(find_unusual "$work"/cache/cache/blob/blobs/sha256 "$work"/cache/blob/blobs/sha256) && fail invalid "$unusual"
  [ "$problem" = 0 ] || fail build "$problem"
}

# pack archive FILE | registry URL REPOSITORY REFERENCE: makes the tar of a container; a password comes on stdin. The layers
# are made one by our own reader, and so there is no link of an image that udocker, or tar, could write through.
pack() {
  [ "$form" = udocker ] || { load "$@"; return; }
  # shellcheck disable=SC2086
  $python -B "${0%/*}/oci.py" "$@" "$most" "$work/layout" >&2 || fail build "$?"
  rm -rf "$work/layout.parts"
  tar -cf "$work/empty.tar" -C "$work/layout" . || fail build "$?"
  install_engine "$work" && udocker_at "$work" || fail build "$?"
  "$udocker" -q load -i "$work/empty.tar" image </dev/null >&2 || fail build "$?"
  "$udocker" -q create image:latest </dev/null >&2 || fail build "$?"
  for root in "$work"/containers/*/ROOT; do tar -xof "$work/layout.tar" -C "$root" || fail build "$?"; done
  rm -f "$work/layout.tar"
  tar -cf "$work/image.udocker" -C "$work/containers" . || fail build "$?"
}

# load ..., the same with podman and docker.
load() {
  # Whoever tidies up leaves alone what is written here.
  $python -B "${0%/*}/oci.py" "$@" "$most" "$work/layout" "$own_images" >"$work/loading" || fail build "$?"
  read -r name <"$work/loading"
  is_sum "$name" || fail build 1
  rm -rf "$work/layout.parts"
  tar -cf "$work/layout.tar" -C "$work/layout" . || fail build "$?"
  rm -rf "$work/layout"
  engine load -i "$work/layout.tar" </dev/null >&2 || fail build "$?"
  rm -f "$work/layout.tar"
  size=$(engine image inspect --format '{{.Size}}' "$own_images:$name" </dev/null) || fail build "$?"
  truncate -s "$size" "$work/image.$form" || fail build "$?"
}

# drop_images: what the engine has of ours and no file tells of.
drop_images() {
  for name in $(engine images --format '{{.Tag}}' "$own_images" </dev/null); do
    is_sum "$name" || continue
    set -- images/"$name.$program" runs/*/"$name.$program"
    kept=
    for file in "$@"; do [ ! -e "$file" ] || kept=1; done
    [ -n "$kept" ] || grep -qxF "$name" images/tmp/*/loading 2>/dev/null || engine rmi "$own_images:$name" >/dev/null 2>&1
  done
}

download() { # FILE
  file=$1
  for pause in 1 2 0; do
    etag=
    [ ! -s "images/index/$key.etag" ] || [ ! -s "images/index/$key" ] || {
      IFS= read -r etag <"images/index/$key.etag"
      read -r name <"images/index/$key"
      [ -e "images/$name.$form" ] || etag=
    }
    set --
    [ -z "$etag" ] || set -- -H "If-None-Match: $etag"
    # A source that gives less than this is as good as away: at a few bytes a second it would hold a worker's place for hours.
    code=$(printf '%s\n' "$first" | curl -q -sS -L -g --proto =http,https -K - --connect-timeout 10 --speed-limit 1000 --speed-time 60 \
      -D "$work/headers" -o "$file" -w '%{http_code}' "$@")
    problem=$?
    [ "$problem" != 0 ] || case $code in
      200) return ;;
      304) remembered "images/index/$key" ;;
      408 | 429 | 5??) ;;
      *) fail http "$code" ;;
    esac
    [ "$pause" = 0 ] || sleep "$pause"
  done
  [ "$problem" = 0 ] || fail curl "$problem"
  fail http "$code"
}

# copy_file FILE FOLDER...
copy_file() {
  found=$(realpath -e -- "$reference" 2>/dev/null) && [ -f "$found" ] && [ -r "$found" ] ||
    fail path "there is no file $reference on this machine that could be read"
  copy=$1
  shift
  for folder in "$@"; do
    folder=$(realpath -m -- "$folder")
    # Images that others pulled are not for everybody.
    case $found in "$PWD"/*) continue ;; "$folder"/*) ;; *) continue ;; esac
    cp -- "$found" "$copy" || fail path "$reference could not be copied"
    : >"$work/headers"
    return
  done
  fail path "$reference is not in a folder that images may come from"
}

# copy_stored FILE RUN
copy_stored() {
  problem=$(read_stored "$2" "$reference" 2>&1 >"$1") || fail path "$reference can't be had from the storage: $problem"
  : >"$work/headers"
}

sum_of() { sum=$(sha256sum <"$1") && sum=${sum%% *}; }

case $kind in
  registry)
    [ -z "$first$second" ] || {
      export APPTAINER_DOCKER_USERNAME="$first" APPTAINER_DOCKER_PASSWORD="$second"
      export SINGULARITY_DOCKER_USERNAME="$first" SINGULARITY_DOCKER_PASSWORD="$second"
    }
    if [ "$form" = sif ]; then
      build "docker://$reference"
    else
      case $insecure in 0) url=https://${reference%%/*} ;; *) url=http://${reference%%/*} ;; esac
      repository=${reference#*/}
      case $repository in *@*) tag=${repository#*@} repository=${repository%@*} ;; *) tag=${repository##*:} repository=${repository%:*} ;; esac
      printf '%s\n%s\n' "$first" "$second" | pack registry "$url" "$repository" "$tag"
      [ -e "$work/image.$form" ] || exit 0
    fi
    ;;
  *)
    if [ "$reference" = - ]; then
      download "$work/download"
    elif [ "${1:-}" = mount ]; then
      copy_stored "$work/download" "$2"
    else
      copy_file "$work/download" "$@"
    fi
    if [ "$sha256" != - ] || [ "$reference" != - ]; then
      sum_of "$work/download"
      [ "$sha256" = - ] || [ "$sum" = "$sha256" ] || fail checksum "its SHA-256 is $sum and not $sha256"
      sha256=$sum
      # Who has the bytes may have what was made of them.
      remembered "images/sources/$sha256$of_form"
    fi
    if [ "$kind" = archive ]; then
      case $form:$(head -c 64 "$work/download" | tr -d '\0') in
        sif:*) ;;
        *:'#!/u'*SIF_MAGIC*)
          fail invalid "a SIF image needs Apptainer or Singularity, and here $form runs the jobs"
          ;;
      esac
      plain_archive
      if [ "$form" = sif ]; then
        archive_source
        build "$archive_source"
      else
        pack archive "$work/download"
      fi
    else
      # An error page or another format is better found now than by every task.
      magic=$(head -c 4 "$work/download" | tr -d '\0')
      case $magic in '#!/u' | hsqs) ;; *) fail invalid 'what was downloaded is no SIF image' ;; esac
      mv "$work/download" "$work/image.sif"
    fi
    ;;
esac

case $form in
  podman | docker) read -r image <"$work/loading" ;;
  *)
    sum_of "$work/image.$form"
    image=$sum
    ;;
esac
is_sum "$image" || fail build 1
chmod 644 "$work/image.$form"
mv "$work/image.$form" "images/$image.$form"
note "images/index/$key" "$image"
[ "$content" = - ] || note "images/digests/$content$of_form" "$image"
[ "$sha256" = - ] || for source in "$sha256" "$key-$sha256"; do note "images/sources/$source$of_form" "$image"; done
rm -f "images/index/$key.etag"
[ "$kind" = registry ] || while IFS= read -r header; do
  case $header in
    [Ee][Tt][Aa][Gg]:*)
      header=${header#*: }
      note "images/index/$key.etag" "${header%"$(printf '\r')"}"
      ;;
  esac
done <"$work/headers"

# The least recently used go until the rest fits. Runs hold links of their own, so none of them loses its image.
total=0
stat -c '%Z %s %n' images/*.sif images/*.udocker images/*.podman images/*.docker 2>/dev/null | sort -rn >"$work/by-use"
while read -r _ bytes file; do
  total=$((total + bytes))
  [ "$total" -le "$capacity" ] || [ "$file" = "images/$image.$form" ] || { rm -f "$file"; total=$((total - bytes)); }
done <"$work/by-use"
# What was told of the environment of images that are gone (container.sh).
for file in images/*.env; do [ -e "${file%.env}.sif" ] || rm -f "$file"; done
for other in podman docker; do
  [ ! -d "$other" ] || ! find_engine "$other" || drop_images
done
answer completed "$image"
