#!/bin/bash
# testbed.sh - several "hosts" on one machine, for tests of a system that reaches
# its hosts by ssh and runs jobs there in apptainer.
#
#   testbed.sh up N             N nodes: node1 10.77.0.11, node2 10.77.0.12 ...
#   testbed.sh down             everything away (the base root folder is kept)
#   testbed.sh purge            down + the base too
#   testbed.sh status           one line per node
#   testbed.sh link down|up NODE    pull / plug the network cable
#   testbed.sh kill NODE        power loss: network silent first, then every process
#                               gets SIGKILL at once; no FIN or RST reaches anybody
#   testbed.sh start NODE       power it on again: same disk, new boot id, empty /run
#   testbed.sh reboot NODE      orderly: TERM, then as start
#   testbed.sh delay NODE MS [LOSS%]   each way; 0 takes it off again
#   testbed.sh exec NODE CMD... as root, past ssh
#   testbed.sh ssh NODE CMD...  as the ordinary user
#
# A node is: a network namespace on bridge tb0; its own mount, pid, uts and ipc
# namespaces; an overlay (shared read-only base below, own upper folder); its own
# sshd with its own host key; user "batch" (uid 2000) with a generated key;
# apptainer and curl. /home is a plain folder per node (not overlay), /shared is one
# folder for all nodes (what NFS would be). Files in $TB:
#   id_ed25519  known_hosts  ssh_config  base/  shared/  nodes/NODE/{upper,home,...}
#   ssh -F $TB/ssh_config node1 hostname        or, without the config:
#   ssh -i $TB/id_ed25519 -o UserKnownHostsFile=$TB/known_hosts batch@10.77.0.11
#
# Settings: TB (folder, default /var/cache/prominence/testbed), NET (10.77.0), SUITE (sid: the
# one with apptainer), EXTRA (more packages for the base, comma-separated),
# SHARED (an existing folder for /shared). Run as root. The nodes have no cgroups, no
# systemd and no clock of their own.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
TB=${TB:-/var/cache/prominence/testbed}; NET=${NET:-10.77.0}; BR=${BR:-tb0}
SUITE=${SUITE:-sid}; EXTRA=${EXTRA:-}
# the mirror that this machine's apt already uses for the distribution itself
MIRROR=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | grep -v -e security -e backports | sed -n 1p)}
SHARED=${SHARED:-$TB/shared}
say() { printf '%s\n' "$*" >&2; }
num() { local n=${1#node}; [[ $n =~ ^[0-9]+$ ]] && [ -d "$TB/nodes/node$n" ] || { say "no such node: $1"; exit 2; }; echo "$n"; }
ip_of() { echo "$NET.$((10 + $1))"; }
pid_of() { # host pid of the node's process 1; fails if it is not running (guards against pid reuse)
  local f=$TB/nodes/node$1/pid p s; [ -s "$f" ] || return 1; read -r p s <"$f"
  [ -e "/proc/$p" ] && [ "$(cut -d' ' -f22 /proc/"$p"/stat)" = "$s" ] && echo "$p"
}

# ---- base: built once ---------------------------------------------------------
base() {
  [ -e "$TB/base/.ready" ] && return
  mkdir -p "$TB"
  for x in mmdebstrap ethtool; do command -v $x >/dev/null || apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $x >/dev/null; done
  [ -s "$TB/id_ed25519" ] || ssh-keygen -q -t ed25519 -N '' -C testbed -f "$TB/id_ed25519"
  rm -rf "$TB/base"
  mmdebstrap --quiet --variant=minbase --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --include="apptainer,openssh-server,openssh-client,tini,squashfuse,fuse2fs,fuse3,fuse-overlayfs,uidmap,procps,iproute2,iputils-ping,bash,curl,bzip2,unzip,rsync,ca-certificates${EXTRA:+,$EXTRA}" \
    --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin' \
    "$SUITE" "$TB/base" "$MIRROR"
  local b=$TB/base
  rm -f "$b"/etc/ssh/ssh_host_*                                   # every node gets its own
  chroot "$b" useradd -u 2000 -m -s /bin/bash -p '*' batch        # '*': no password, yet not "locked"
  grep -q ^batch: "$b/etc/subuid" || { echo batch:100000:65536 >>"$b/etc/subuid"; echo batch:100000:65536 >>"$b/etc/subgid"; }
  cat >"$b/etc/ssh/sshd_config" <<C
# PAM off: no logind, audit or limits here (pam_limits fails without CAP_SYS_RESOURCE)
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
AcceptEnv LANG LC_*
UseDNS no
MaxStartups 200:30:400
Subsystem sftp internal-sftp
C
  # key in, so that the nodes also reach each other (mpirun over ssh)
  for h in home/batch root; do
    mkdir -p "$b/$h/.ssh"; cp "$TB/id_ed25519.pub" "$b/$h/.ssh/authorized_keys"; cp "$TB/id_ed25519" "$b/$h/.ssh/id_ed25519"
    printf 'Host node* %s.*\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n' "$NET" >"$b/$h/.ssh/config"
    chmod 700 "$b/$h/.ssh"; chmod 600 "$b/$h"/.ssh/*
  done
  chroot "$b" chown -R batch:batch /home/batch
  mkdir -p "$b/shared"; cp -a "$b/home" "$TB/home.skel.new"; rm -rf "$TB/home.skel"; mv "$TB/home.skel.new" "$TB/home.skel"
  touch "$b/.ready"
}

# ---- what runs inside the new namespaces ---------------------------------------
node_init() { # NUMBER; becomes process 1 of the node
  local n=$1 d=$TB/nodes/node$1 r=$TB/nodes/node$1/root
  mount --make-rprivate /
  mount -t overlay "node$n" -o "lowerdir=$TB/base,upperdir=$d/upper,workdir=$d/work" "$r"
  mount --bind "$d/home" "$r/home"; mount --bind "$SHARED" "$r/shared"
  mount -t proc proc "$r/proc"; mount -t sysfs -o ro sysfs "$r/sys"
  mount -t tmpfs -o mode=755,nosuid tmpfs "$r/run"; mkdir -p "$r"/run/{sshd,lock}
  mount -t tmpfs -o mode=755,nosuid tmpfs "$r/dev"
  local x; for x in null zero full random urandom tty fuse net/tun; do
    [ -e "/dev/$x" ] || continue; mkdir -p "$(dirname "$r/dev/$x")"; : >"$r/dev/$x"; mount --bind "/dev/$x" "$r/dev/$x"; done
  mkdir "$r"/dev/{pts,shm}; mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$r/dev/pts"
  ln -s pts/ptmx "$r/dev/ptmx"; mount -t tmpfs -o mode=1777 tmpfs "$r/dev/shm"
  ln -s /proc/self/fd "$r/dev/fd"; ln -s fd/0 "$r/dev/stdin"; ln -s fd/1 "$r/dev/stdout"; ln -s fd/2 "$r/dev/stderr"
  # A boot id of its own, else every node shows the machine's. That bind hides part
  # of /proc, and the kernel lets a user namespace mount a new proc (apptainer --pid,
  # --containall) only where some proc in view is whole: keep one, root only.
  mkdir -p -m 700 "$r/run/tb"; mkdir "$r/run/tb/proc"; mount -t proc proc "$r/run/tb/proc"
  cat /proc/sys/kernel/random/uuid >"$r/run/boot_id"; mount --bind "$r/run/boot_id" "$r/proc/sys/kernel/random/boot_id"
  hostname "node$n"
  cd "$r"; mkdir -p .old; pivot_root . .old; umount -l /.old
  exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
    tini -g -- /usr/sbin/sshd -D -e
}

net_up() { # NUMBER
  local n=$1 ns=tb-node$1
  ip netns list | grep -qw "$ns" && return
  ip netns add "$ns"
  ip link add "tbv$n" type veth peer name eth0 netns "$ns"
  # a fixed MAC, as a real host has: otherwise, after kill + start, the others go on
  # talking to the old address for a minute
  ip -n "$ns" link set eth0 address "$(printf '02:10:77:00:%02x:%02x' $((n/256)) $((n%256)))"
  ip netns exec "$ns" sysctl -qw net.ipv4.ping_group_range="0 2147483647"
  ip link set "tbv$n" master "$BR" up
  ip -n "$ns" link set lo up; ip -n "$ns" addr add "$(ip_of "$n")/24" dev eth0; ip -n "$ns" link set eth0 up
  ip -n "$ns" route add default via "$NET.1"
}
undelay() { local f=$TB/nodes/node$1/delay.pid p
  if [ -s "$f" ]; then p=$(cat "$f"); if grep -qz delay.py "/proc/$p/cmdline" 2>/dev/null; then
      kill "$p"; while [ -e "/proc/$p" ] && ! grep -q '^State:.Z' "/proc/$p/status" 2>/dev/null; do sleep .02; done; fi; rm -f "$f"; fi; }

start() { # NUMBER
  local n=$1 d=$TB/nodes/node$1 up p end=$((SECONDS + 90))
  pid_of "$n" >/dev/null && return
  net_up "$n"
  setsid nsenter --net="/run/netns/tb-node$n" unshare -m -p -u -i -f \
     "$HERE/$(basename "$0")" __init "$n" >>"$d/console.log" 2>&1 </dev/null & up=$!
  while [ $SECONDS -lt $end ]; do p=$(pgrep -P $up || true); [ -n "$p" ] && break; sleep .02; done
  [ -n "${p:-}" ] || { say "node$n did not start, see $d/console.log"; return 1; }
  echo "$p $(cut -d' ' -f22 /proc/"$p"/stat)" >"$d/pid"
  while [ $SECONDS -lt $end ]; do timeout .5 bash -c "exec 3<>/dev/tcp/$(ip_of "$n")/22" 2>/dev/null && return; sleep .04; done
  say "node$n: sshd does not answer, see $d/console.log"; return 1
}
power_off() { # NUMBER SIGNAL; silent=1 cuts the network first
  local n=$1 p; [ "$2" = KILL ] && ip link set "tbv$n" down 2>/dev/null || true
  if p=$(pid_of "$n"); then kill -"$2" "$p" || true; for _ in $(seq 250); do [ -e "/proc/$p" ] || break; sleep .02; done
    [ -e "/proc/$p" ] && kill -KILL "$p" && sleep .2; fi
  undelay "$n"; ip netns del "tb-node$n" 2>/dev/null || true; ip link del "tbv$n" 2>/dev/null || true
  rm -f "$TB/nodes/node$n/pid"
}

up() {
  local N=$1 n d; mkdir -p "$TB/nodes" "$SHARED"; chmod 755 "$TB"; base
  [ "$(stat -c %a /dev/fuse)" = 666 ] || chmod 666 /dev/fuse
  [ -e "$SHARED/.testbed" ] || { chown 2000:2000 "$SHARED"; chmod 1777 "$SHARED"; touch "$SHARED/.testbed"; }
  ip link show "$BR" >/dev/null 2>&1 || { ip link add "$BR" type bridge; ip addr add "$NET.1/24" dev "$BR"; ip link set "$BR" up; }
  { echo "Host node*"; echo "  User batch"; echo "  IdentityFile $TB/id_ed25519"; echo "  IdentitiesOnly yes"
    echo "  UserKnownHostsFile $TB/known_hosts"; echo "  StrictHostKeyChecking yes"
    for n in $(seq "$N"); do echo "Host node$n"; echo "  HostName $(ip_of "$n")"; done; } >"$TB/ssh_config"
  : >"$TB/known_hosts"
  for n in $(seq "$N"); do
    d=$TB/nodes/node$n
    if [ ! -d "$d/upper" ]; then
      mkdir -p "$d"/{work,root,upper/etc/ssh}; cp -a "$TB/home.skel" "$d/home"
      ssh-keygen -q -t ed25519 -N '' -C "node$n" -f "$d/upper/etc/ssh/ssh_host_ed25519_key"
      echo "node$n" >"$d/upper/etc/hostname"
      tr -d - </proc/sys/kernel/random/uuid >"$d/upper/etc/machine-id"
    fi
    { echo "127.0.0.1 localhost"; for i in $(seq "$N"); do echo "$(ip_of "$i") node$i"; done; echo "$NET.1 head"; } >"$d/hosts.new"
    # the overlay's upper must not be changed under a running node: write through it
    if p=$(pid_of "$n"); then cat "$d/hosts.new" >"/proc/$p/root/etc/hosts"; else cp "$d/hosts.new" "$d/upper/etc/hosts"; fi
    echo "$(ip_of "$n"),node$n $(cut -d' ' -f1,2 "$d/upper/etc/ssh/ssh_host_ed25519_key.pub")" >>"$TB/known_hosts"
    start "$n"
  done
}

cmd=${1:-}; shift || true
case $cmd in
  base)   base ;;
  __init) node_init "$1" ;;
  up)     t0=$(date +%s%N); up "${1:?how many nodes?}"; say "up: $1 nodes in $(( ($(date +%s%N)-t0)/1000000 )) ms; ssh -F $TB/ssh_config node1" ;;
  down|purge)
    for d in "$TB"/nodes/node*; do [ -d "$d" ] || continue; n=${d##*/node}; power_off "$n" KILL; rm -rf --one-file-system "$d"; done
    ip link del "$BR" 2>/dev/null || true
    if [ "$cmd" = purge ]; then rm -rf --one-file-system "$TB/base" "$TB"/home.skel* "$TB"/id_ed25519* ; fi ;;
  status) for d in "$TB"/nodes/node*; do [ -d "$d" ] || continue; n=${d##*/node}
            p=$(pid_of "$n") && s="up pid=$p" || s=off
            l=$(ip -br link show "tbv$n" 2>/dev/null | awk '{print $2}'); echo "node$n $(ip_of "$n") $s link=${l:-none}$( [ -s "$d/delay.pid" ] && echo " delayed")"; done ;;
  link)   n=$(num "$2"); case $1 in up|down) ip link set "tbv$n" "$1";; *) exit 2;; esac ;;
  kill)   n=$(num "$1"); power_off "$n" KILL ;;
  start)  n=$(num "$1"); start "$n" ;;
  reboot) n=$(num "$1"); power_off "$n" TERM; start "$n" ;;
  delay)  n=$(num "$1"); undelay "$n"
          off=off; [ "$2" = 0 ] && off=on
          ip netns exec "tb-node$n" ethtool -K eth0 tx $off tso $off gso $off >/dev/null 2>&1 || true
          if [ "$2" = 0 ]; then ip link set "tbv$n" master "$BR"
          else ip link set "tbv$n" nomaster; ip link set "tbv$n" up promisc on
            setsid python3 "$HERE/delay.py" "tbv$n" "tbd$n" "$BR" "$2" "${3:-0}" >"$TB/nodes/node$n/delay.log" 2>&1 </dev/null &
            echo $! >"$TB/nodes/node$n/delay.pid"; for _ in $(seq 50); do ip link show "tbd$n" >/dev/null 2>&1 && break; sleep .05; done; fi ;;
  exec)   n=$(num "$1"); shift; p=$(pid_of "$n"); exec nsenter -t "$p" -m -n -p -u -i -- "$@" ;;
  ssh)    n=$1; shift; exec ssh -F "$TB/ssh_config" "$n" "$@" ;;
  *)      sed -n '2,36s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
