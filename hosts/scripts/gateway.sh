# gateway.sh KIND ANSWER UID GID MODE [HOST:PORT...]
#
# The way out of the runs on this machine (network.sh), and who keeps it. Runs as root of a user namespace, as the first
# process of a PID namespace, and with mounts of its own, but in the network of the machine. MODE is `isolated`, or `none`:
# then runs reach nothing but the addresses that are named. Those are reached wherever they are: on this machine's loopback
# too. Writes `PID TICKS` to ANSWER when the gateway is there, and ends when nobody has needed it for a while.
#
# In /run, which nobody else sees: netns/ has the namespaces, addresses/ a file per address given to a run, `account` the
# user namespace of the account, `settings` and `rules` what attach.sh needs.
set -u
umask 022
. "${0%/*}/processes.sh"

kind=$1 answer=$2 uid=$3 gid=$4 mode=$5
shift 5

fail() {
  echo "$1" >&2
  exit 1
}

# name_servers_of FILE: those that it names, as resolv.conf does, without the interface of one.
name_servers_of() {
  while read -r key value _; do
    [ "$key" != nameserver ] || printf '%s ' "${value%%%*}"
  done <"$1"
}

# Every address that is this machine's, as its kernel sees it.
own_addresses() {
  ip -o "$1" route show table local type local | while read -r first second _; do
    [ "$first" != local ] || first=$second
    case $first in 127.* | ::1 | fe80:*) ;; *) printf '%s\n' "$first" ;; esac
  done | sort -u
}

is_among() { case " $2 " in *" $1 "*) return 0 ;; esac; return 1; }
list() { printf '%s' "$*" | sed 's/  */, /g'; }

own4=$(list $(own_addresses -4)) own6=$(list $(own_addresses -6))

# Programs in containers read the machine's resolv.conf. What stands there on the loopback they could not ask: those whom it
# asks in turn are known where it is systemd's.
resolvers=$(name_servers_of /etc/resolv.conf 2>/dev/null) given=
case " $resolvers" in
  *' 127.'* | *' ::1 '*)
    resolvers=$(name_servers_of /run/systemd/resolve/resolv.conf 2>/dev/null)
    case " $resolvers" in *' 127.'* | '  ' | ' ' | '') fail 'its name server is on its loopback only' ;; esac
    given=$resolvers
    ;;
esac

own_servers=
for server in $resolvers; do
  case $server in *:*) ;; *) ! is_among "$server" "$(echo "$own4" | tr -d ,)" || own_servers="$own_servers $server" ;; esac
done

# What is to be reached on this machine: its loopback, by ports that pasta listens on in the gateway, and its addresses.
loopback_ports= doors4= doors6= own_doors=
for door; do
  port=${door##*:} host=${door%:*}
  host=${host#[} host=${host%]}
  case $host in
    localhost) found=127.0.0.1 ;;
    *[!0-9.]*) found=$(getent ahosts "$host" | while read -r address _ name; do printf '%s ' "$address"; done) ;;
    *) found=$host ;;
  esac
  for address in $found; do
    case $address in
      127.0.0.1) is_among "$port" "$loopback_ports" || loopback_ports="$loopback_ports $port" ;;
      127.* | ::1) ;;
      *:*) is_among "$address . $port" "$doors6" || doors6="$doors6${doors6:+, }$address . $port" ;;
      *)
        case ", $doors4," in *", $address . $port,"*) continue ;; esac
        doors4="$doors4${doors4:+, }$address . $port"
        ! is_among "$address" "$(echo "$own4" | tr -d ,)" || own_doors="$own_doors $address:$port"
        ;;
    esac
  done
done

mount -t tmpfs -o mode=755,size=16m none /run || fail 'no mounts of its own'
mkdir -p /run/netns /run/addresses /run/tokens /run/ready
: >/run/netns/gateway
unshare --net mount --bind /proc/self/ns/net /run/netns/gateway || fail 'no network namespace'

outward4=$(ip -4 route show default) outward6=$(ip -6 route show default)
[ -n "$outward4$outward6" ] || fail 'it has no way out of its own'
families='-4' addresses='-a 198.19.0.2 -n 30 -g 198.19.0.1'
if [ -n "$outward6" ]; then
  families='' addresses="$addresses -a fd70:726f:6d69:1::2 -g fd70:726f:6d69:1::1"
  [ -n "$outward4" ] || { families='-6' addresses='-a fd70:726f:6d69:1::2 -g fd70:726f:6d69:1::1'; }
fi
ports=none
[ -z "$loopback_ports" ] || ports=$(list $loopback_ports | tr -d ' ')
# shellcheck disable=SC2086
pasta $families $addresses -I world --config-net -t none -u none -U none -T "$ports" --no-map-gw --log-file /run/pasta.log \
  --pid /run/pasta.pid --runas 0 --netns /run/netns/gateway >&2 || fail 'pasta gives no way out'

in_namespace() { nsenter --net=/run/netns/gateway "$@"; }

in_namespace sh -c '
  echo 1 >/proc/sys/net/ipv4/ip_forward
  echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet
  [ ! -d /proc/sys/net/ipv6 ] || echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
  ip link set lo up' || fail 'its namespace can not forward'

elements() { [ -z "$1" ] || printf 'elements = { %s };' "$1"; }
refuse='reject with icmpx type admin-prohibited'
{
  cat <<END
table inet prominence {
  set machine4 { type ipv4_addr; flags interval; auto-merge; $(elements "$own4") }
  set machine6 { type ipv6_addr; flags interval; auto-merge; $(elements "$own6") }
  set doors4 { type ipv4_addr . inet_service; $(elements "$doors4") }
  set doors6 { type ipv6_addr . inet_service; $(elements "$doors6") }
  # pasta takes what comes from the loopback for what is to go to the other.
  chain from_loopback { type nat hook input priority 100; iifname != "lo" ip daddr 127.0.0.1 snat ip to 127.0.0.1; }
  chain output_address { type nat hook postrouting priority 100; oifname "world" masquerade; }
  chain input {
    type filter hook input priority 0; policy drop;
    ct state established,related accept
    iifname "lo" accept
    meta l4proto ipv6-icmp accept
    iifname "world" drop
    $([ -z "$loopback_ports" ] || echo "ip daddr 127.0.0.1 tcp dport { $(list $loopback_ports) } accept")
    $refuse
  }
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    oifname != "world" $refuse
    ip daddr . tcp dport @doors4 accept
    ip6 daddr . tcp dport @doors6 accept
END
  for server in $resolvers; do
    case $server in
      *:*) is_six=6 ;;
      *) is_six= ;;
    esac
    [ "$mode" != isolated ] || echo "ip$is_six daddr $server meta l4proto { tcp, udp } th dport 53 accept"
  done
  cat <<END
    ip daddr @machine4 $refuse
    ip6 daddr @machine6 $refuse
    ip daddr { 0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 198.19.0.0/16, 224.0.0.0/4, 255.255.255.255 } $refuse
    ip6 daddr { ::/96, ::ffff:0:0/96, 64:ff9b::a9fe:0:0/112, fe80::/10, fd00:ec2::254, ff00::/8 } $refuse
    $([ "$mode" != isolated ] && echo "$refuse" || echo accept)
  }
}
END
} >/run/filter
in_namespace nft -f /run/filter >&2 || fail 'its packet filter does not take the rules'

# What stands in every run's namespace. The machine's own addresses are the run's there: programs look up their host's name
# and talk to themselves by it. Ports to be reached go past these.
{
  echo 'link set lo up'
  for address in $(echo "$own4 $own6" | tr -d ,); do
    case $address in */*) ;; *) echo "addr add $address dev lo" ;; esac
  done
  if [ -n "$loopback_ports$own_doors$own_servers" ]; then
    echo "$loopback_ports$own_doors$own_servers" >/run/doors
    echo 'rule add pref 20 table local'
    echo 'rule del pref 0'
    for port in $loopback_ports; do echo "rule add pref 10 to 127.0.0.1 ipproto tcp dport $port table 100"; done
    for server in $own_servers; do
      for protocol in tcp udp; do echo "rule add pref 10 to $server ipproto $protocol dport 53 table 100"; done
    done
    for door in $own_doors; do echo "rule add pref 10 to ${door%:*} ipproto tcp dport ${door##*:} table 100"; done
  fi
} >/run/rules
[ -z "$given" ] || echo "$given" >/run/name-servers
[ -z "$outward6" ] || : >/run/six

# The account as it is called outside, without any right over the namespaces above.
# Told by itself, as it is called outside of the PID namespace.
in_account='read -r pid _ </proc/self/stat; echo "$pid"; exec sleep 60'
if [ "$kind" = own ]; then
  unshare --user sh -c "$in_account" >/run/account.pid &
  tries=0
  until read -r holder </run/account.pid || [ "$tries" -ge 500 ]; do
    tries=$((tries + 1))
    sleep 0.01
  done
  echo "$uid 0 1" >"/proc/$holder/uid_map" && echo "$gid 0 1" >"/proc/$holder/gid_map" && : >/run/account &&
    mount --bind "/proc/$holder/ns/user" /run/account || fail 'no user namespace within another'
  kill "$!" 2>/dev/null
fi

# From here on it is known, and nothing is said any more.
read -r self _ </proc/self/stat
ticks_of "$self"
echo "$self $ticks" >"$answer"
exec >/dev/null 2>&1
trap 'exit 0' TERM

# is_wanted: a run is in the gateway, or somebody watches the machine and will start more. What is left of runs that are
# gone is removed.
is_wanted() {
  wanted=
  for network in /run/netns/*; do
    token=${network##*/}
    [ "$token" != gateway ] || continue
    if [ -e "runs/$token/network.$kind" ]; then
      wanted=1
    else
      ip netns delete "$token"
      rm -f "/run/ready/$token" "/run/tokens/$token"
      for address in /run/addresses/*; do
        { read -r holder <"$address"; } 2>/dev/null && [ "$holder" = "$token" ] && rm -f "$address"
      done
    fi
  done
  for watch in watches/*; do
    watch=${watch#watches/}
    ! is_alive "${watch%.*}" "${watch#*.}" || wanted=1
  done
  [ -n "$wanted" ]
}

# follow_addresses: the machine may get others than it had.
follow_addresses() {
  now4=$(list $(own_addresses -4)) now6=$(list $(own_addresses -6))
  [ "$now4 $now6" != "$own4 $own6" ] || return 0
  {
    echo 'flush set inet prominence machine4; flush set inet prominence machine6'
    [ -z "$now4" ] || echo "add element inet prominence machine4 { $now4 }"
    [ -z "$now6" ] || echo "add element inet prominence machine6 { $now6 }"
  } | in_namespace nft -f - && own4=$now4 own6=$now6
}

{ read -r pasta </run/pasta.pid; } 2>/dev/null
unwanted=0 rounds=0
while [ -d runs ] && [ "$unwanted" -lt 12 ]; do
  sleep 5 &
  wait "$!"
  kill -0 "$pasta" || exit
  rounds=$(((rounds + 1) % 4))
  [ "$rounds" != 0 ] || follow_addresses
  if is_wanted; then unwanted=0; else unwanted=$((unwanted + 1)); fi
done
