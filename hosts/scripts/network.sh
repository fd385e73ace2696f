# Networks of runs. A run has a network namespace of its own, which all that runs for it shares: tasks, sidecars, commands
# beside them. Its way out is a gateway: a namespace per machine, which one `pasta` connects with the world and whose packet
# filter (gateway.sh) lets nobody reach the machine's own addresses, its loopback, or link-local ones. An ordinary account can
# have all of it. One gateway for a machine, and a veth pair for each run: a `pasta` for each run would cost 40 ms of CPU and
# 30 MB. Who enters is put into a user namespace below the gateway's, without rights over it. podman is given the namespace
# by its path; docker's daemon can't be given one. Sourced, after processes.sh, by the scripts that start something.

# The programs of system administrators are not on everybody's path.
PATH=$PATH:/usr/sbin:/sbin

# network_kind IMAGE_FILE: sets `kind` to who makes the containers' namespaces: us, or an engine.
network_kind() {
  case $1 in
    *.podman) kind=podman ;;
    *.docker) kind=docker ;;
    *) kind=own ;;
  esac
}

# join_network RUN KIND: sets `within` to the words that put a command into the run's network (`gateway_root` to where the
# namespaces of an engine's are found), or fails with `problem`. What the probe found is written down in network/KIND.state.
join_network() {
  within= network_file= name_servers= network_state=
  { read -r network_state <"network/$2.state"; } 2>/dev/null
  case $network_state in
    host) return 0 ;;
    isolated | none) ;;
    *) problem='the machine was not asked yet what networks it can make'; return 1 ;;
  esac
  boot_id
  if gateway_lives "$1/network.$2"; then enter_network "$1" "$2"; else make_network "$1" "$2"; fi
}

# make_network RUN KIND: the same for a run that has none, or had it from a gateway that is gone.
make_network() {
  within= network_file= name_servers= settings=
  { read -r settings <"network/$2.settings"; } 2>/dev/null
  find_gateway "$2" || return
  echo "$gateway $gateway_ticks $boot" >"$1/network.$2.$$" && mv "$1/network.$2.$$" "$1/network.$2" ||
    { problem='no space left on the machine'; return 1; }
  # Of two tasks that start at once, the second finds it there.
  problem=$(in_gateway "$gateway" sh "${0%/*}/attach.sh" "${1#runs/}" 2>&1) ||
    { rm -f "$1/network.$2"; problem="the network of the job could not be made: $problem"; return 1; }
  enter_network "$1" "$2"
}

# enter_network RUN KIND: what join_network sets, where the network is there.
enter_network() {
  gateway_root=/proc/$gateway/root/run
  network_file=$gateway_root/netns/${1#runs/}
  { read -r name_servers <"$gateway_root/name-servers"; } 2>/dev/null
  [ "$2" = podman ] || within="nsenter --target $gateway --user --net=$network_file --preserve-credentials nsenter --user=$gateway_root/account --preserve-credentials"
}

# in_gateway PID WORD...: as its root, in the gateway of that process.
in_gateway() {
  gateway_pid=$1
  shift
  nsenter --target "$gateway_pid" --user --mount --net=/proc/"$gateway_pid"/root/run/netns/gateway --preserve-credentials \
    --wd="$PWD" "$@"
}

# gateway_lives FILE: sets `gateway` and `gateway_ticks` to the process that is written down there, if it lives.
gateway_lives() {
  gateway= gateway_ticks= gateway_boot=
  { read -r gateway gateway_ticks gateway_boot started_with <"$1"; } 2>/dev/null
  [ "$gateway_boot" = "$boot" ] && is_alive "$gateway" "$gateway_ticks"
}

# find_gateway KIND: the same of the one that is there for new runs, started if there is none with these `settings`. Fails
# with `problem`.
find_gateway() {
  gateway_lives "network/$1.gateway" && [ "$started_with" = "$settings" ] && return
  can_have_gateway "$1" || return
  # One at a time: the others find what the first one started.
  exec 4>network/lock
  flock -w 20 4
  gateway_lives "network/$1.gateway" && [ "$started_with" = "$settings" ] || start_gateway "$1"
  set -- "$?"
  exec 4>&-
  return "$1"
}

# can_have_gateway KIND: the programs are there. Fails with `problem`.
can_have_gateway() {
  for needed in pasta:passt ip:iproute2 nft:nftables nsenter:util-linux unshare:util-linux flock:util-linux mount:mount; do
    command -v "${needed%:*}" >/dev/null || { problem="there is no ${needed%:*} (Debian: ${needed#*:})"; return 1; }
  done
  case $(ip -V 2>/dev/null) in *iproute2*) ;; *) problem='its ip is not that of iproute2'; return 1 ;; esac
  { : <>/dev/net/tun; } 2>/dev/null || { problem='/dev/net/tun may not be opened by this account'; return 1; }
}

start_gateway() {
  answer=network/$1.answer.$$
  : >"$answer"
  entered= unshared=
  case $1 in
    podman)
      # Where its containers' namespaces are made, or it could not put them into a network of ours.
      pause=
      { read -r pause <"$XDG_RUNTIME_DIR/libpod/tmp/pause.pid"; } 2>/dev/null
      [ -n "$pause" ] || podman_pause
      [ -n "$pause" ] || { rm -f "$answer"; problem='podman does not tell of its namespaces'; return 1; }
      entered="nsenter --target $pause --user --preserve-credentials"
      ;;
    *) unshared='--user --map-root-user' ;;
  esac
  # The first process of a PID namespace: nothing that it started outlives it.
  # shellcheck disable=SC2086
  setsid $entered unshare $unshared --mount --pid --fork --kill-child \
    sh "${0%/*}/gateway.sh" "$1" "$answer" "$(id -u)" "$(id -g)" $settings </dev/null >/dev/null 2>"$answer.problem" 4>&- &
  starting=$! tries=0
  while [ ! -s "$answer" ] && [ "$tries" -lt 500 ] && kill -0 "$starting" 2>/dev/null; do
    tries=$((tries + 1))
    sleep 0.02
  done
  gateway=
  { read -r gateway gateway_ticks <"$answer"; } 2>/dev/null
  problem=$(tail -c 300 "$answer.problem" | tr '\n' ' ')
  rm -f "$answer" "$answer.problem"
  if [ -z "$gateway" ]; then
    kill -KILL "$starting" 2>/dev/null
    problem="no network could be made: ${problem:-it took too long}"
    return 1
  fi
  echo "$gateway $gateway_ticks $boot $settings" >"network/.$1.$$" && mv "network/.$1.$$" "network/$1.gateway"
}

podman_pause() {
  podman "--root=$PWD/podman/storage" unshare true >/dev/null 2>&1 </dev/null
  { read -r pause <"$XDG_RUNTIME_DIR/libpod/tmp/pause.pid"; } 2>/dev/null
}
