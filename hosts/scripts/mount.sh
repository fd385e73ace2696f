# mount.sh TOKEN webdav
# mount.sh TOKEN onedata PROVIDER FOLDER [OPTION...]
#
# Mounts a user's storage for a run, or finds that it is mounted, answers on stdout and then stays as the mount's keeper
# until that ended. Runs in a session of its own in the work directory: it must outlive whoever asked for it. stdin:
# for webdav the address, the user, the password, and the address and both of the others as lines of curl configuration;
# for onedata the token. None of that becomes an argument or a file. Answers: `mounted`, `killed`, or `failed DETAIL`.
#
# rclone mounts WebDAV without root, which davfs2 can't. Writes go to a cache below the run, and rclone alone would forget them
# at an unmount: unmount.sh waits for them. The server is asked by curl first, which tells a wrong password from a missing
# folder; a mount that can't get in would start, and then fail every access.
set -u
umask 022
# Who asked may be gone when there is an answer.
trap '' PIPE
. "${0%/*}/processes.sh"
. "${0%/*}/mounts.sh"

run=runs/$1 kind=$2
shift 2
if [ "$kind" = webdav ]; then
  IFS= read -r address && IFS= read -r user && IFS= read -r password && IFS= read -r curl_address &&
    IFS= read -r curl_user
else
  IFS= read -r token
fi || { echo 'failed the credentials were not told'; exit; }
exec </dev/null
mounts=$run/mounts
boot_id
ticks_of $$
own_ticks=$ticks

is_closed() { [ -e "$run/killed" ] || [ -e "$mounts/closed" ]; }
! is_closed || { echo killed; exit; }
problem=$(mkdir -p "$mounts/0" "$mounts/cache" 2>&1) || { echo "failed $problem"; exit; }

# The claim: whoever creates this file mounts, and keeps the mount.
claim() {
  set -C
  { echo "$$ $own_ticks $boot" >"$mounts/keeper"; } 2>/dev/null
  claimed=$?
  set +C
  return $claimed
}
doubtful=0
until claim; do
  [ -d "$mounts" ] || { echo killed; exit; }
  if [ ! -s "$mounts/keeper" ] && [ "$doubtful" -lt 20 ]; then
    # Just claimed and not yet written, or its owner died between the two.
    doubtful=$((doubtful + 1))
  elif ! holder "$run" keeper; then
    rm -f "$mounts/keeper"
    doubtful=0
  elif [ -e "$mounts/ready" ] && is_mounted "$run"; then
    echo mounted
    exit
  fi
  sleep 0.1
done
sever "$run"
echo "$kind" >"$mounts/kind"
rm -f "$mounts/ready" "$mounts/words"
mkfifo "$mounts/words" || { rm -f "$mounts/keeper"; echo 'failed no pipe could be made'; exit; }

answer() {
  sever "$run"
  rm -f "$mounts/keeper"
  echo "$1"
  exit
}

# keep_words: the last things that the server complained about. However long it complains, the file stays small.
keep_words() {
  count=0
  while IFS= read -r line; do
    count=$((count + 1))
    [ $((count % 200)) != 0 ] || : >"$mounts/log"
    printf '%s\n' "$line" >>"$mounts/log"
  done
}

last_words() {
  { tail -n 1 "$mounts/log" | sed 's|^[0-9/]* [0-9:]* *||' | tail -c 400; } 2>/dev/null
}

# ask_webdav: is it there, and are we let in? curl says it better than a mount that starts and then fails every access.
# Sets `problem`; returns 0 for yes, 1 for no, 2 for maybe later.
ask_webdav() {
  code=$(printf '%s\n' "$curl_address" "$curl_user" | curl -q -sS -g --proto =http,https -K - -X PROPFIND -H 'Depth: 0' \
    --connect-timeout 10 --max-time 60 -o "$mounts/answer" -w '%{http_code}' 2>"$mounts/problem")
  status=$?
  if [ "$status" != 0 ]; then
    problem="the storage can't be reached: $(tail -c 400 "$mounts/problem" | tr '\n' ' ')"
    return 2
  fi
  case $code in
    207)
      grep -qi '<[a-z0-9]*:*collection' "$mounts/answer" && return
      problem='what the URL and the directory name is no folder'
      ;;
    401) problem='the storage refused the user name or the password (401)' ;;
    403) problem='the storage does not let this user in (403)' ;;
    404) problem='there is no such folder in the storage (404)' ;;
    3??) problem="the storage is at another address (it answered $code)" ;;
    408 | 429 | 5??) problem="the storage answered $code"; return 2 ;;
    *) problem="the address is none of a WebDAV server (it answered $code)" ;;
  esac
  return 1
}

# serve ARGUMENT...: becomes the server. What it needs to get in is in its environment only.
serve_webdav() {
  password=$(printf '%s\n' "$password" | rclone_at "$PWD/$mounts/cache" obscure - 2>/dev/null) || exit 1
  export RCLONE_WEBDAV_URL="$address" RCLONE_WEBDAV_USER="$user" RCLONE_WEBDAV_PASS="$password"
  # Writes go through a cache below the run, since WebDAV takes whole files only.
  rclone_at "$PWD/$mounts/cache" mount :webdav: "$mounts/0" --config '' --webdav-vendor other --vfs-cache-mode writes \
    --cache-dir "$PWD/$mounts/cache" --vfs-write-back 1s --vfs-cache-max-age 5m --dir-cache-time 10s \
    --umask 022 --file-perms 0755 --contimeout 10s --timeout 60s --low-level-retries 3 --log-level ERROR
}
serve_onedata() {
  export ONECLIENT_ACCESS_TOKEN="$token"
  at=$PWD/$mounts/0 logs=$PWD/$mounts/cache
  # A word among the options that was taken for a folder leads nowhere from here.
  cd "$logs" || exit 1
  exec oneclient -f -l "$logs" -H "$@" "$at"
}

# start_server ARGUMENT...: returns when the mount is there. Fails when the server ended, or after a minute.
start_server() {
  : >"$mounts/log"
  # By exec: a redirection of a function would keep what it replaces open, and whoever reads our answer waiting.
  (exec <"$mounts/words" >/dev/null 2>&1; keep_words) &
  listener=$!
  (exec >/dev/null 2>"$mounts/words"; serve_"$kind" "$@") &
  server=$!
  ticks_of "$server" && server_ticks=$ticks || server_ticks=
  echo "$server $server_ticks $boot" >"$mounts/server"
  now
  patience=$((now + 6000))
  until is_mounted "$run"; do
    is_alive "$server" "$server_ticks" && [ "$now" -lt "$patience" ] && ! is_closed || break
    sleep 0.05
    now
  done
  is_mounted "$run" && return
  sever "$run"
  wait "$server" "$listener"
  problem=$(last_words)
  [ "$now" -lt "$patience" ] || problem="the mount did not come up within a minute${problem:+ ($problem)}"
  return 1
}

folder=
if [ "$kind" = onedata ]; then
  provider=$1 folder=$2
  shift 2
  set -- "$provider" "$@"
fi
for pause in 1 2 0; do
  ! is_closed || answer killed
  problem= verdict=2
  if [ "$kind" = webdav ]; then
    ask_webdav
    verdict=$?
    [ "$verdict" != 1 ] || answer "failed $problem"
  fi
  if [ "$kind" = onedata ] || [ "$verdict" = 0 ]; then
    start_server "$@" && break
  fi
  [ "$pause" != 0 ] || answer "failed ${problem:-the storage could not be mounted}"
  sleep "$pause"
done
if [ -n "$folder" ] && ! timeout 60 test -d "$mounts/0/$folder"; then
  answer "failed there is no folder $folder in the storage"
fi
# Somebody ended the run meanwhile, and may have looked before there was a mount.
! is_closed || answer killed
: >"$mounts/ready"
echo mounted
exec >/dev/null 2>&1
address= user= password= curl_address= curl_user= token=
wait "$server"
while kill -0 "$server" 2>/dev/null; do wait "$server"; done
# A task that starts now is told, and does not write into an empty folder of the machine.
! is_mounted "$run" || detach "$run" -z
rm -f "$mounts/ready" "$mounts/keeper"
