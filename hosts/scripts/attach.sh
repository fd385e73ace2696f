# attach.sh TOKEN
#
# Makes the network namespace of a run and connects it with the gateway that this is called in (gateway.sh), as its root.
# Where that was done, or is being done by another call, it does nothing but wait for it.
set -u
umask 022

token=$1

release() {
  ip netns delete "$token" 2>/dev/null
  rm -f "/run/addresses/${number:-none}" "/run/tokens/$token" "/run/ready/$token"
}

set -C
if ! { echo "$$" >"/run/tokens/$token"; } 2>/dev/null; then
  tries=0
  until [ -e "/run/ready/$token" ]; do
    [ $((tries += 1)) -lt 1000 ] || { release; echo 'another start did not come to its end' >&2; exit 1; }
    sleep 0.01
  done
  exit 0
fi

# An address that no other run has.
number=$$ tries=0
until { echo "$token" >"/run/addresses/$((number = number % 65000 + 2))"; } 2>/dev/null; do
  [ $((tries += 1)) -lt 65000 ] || { number=none; release; echo 'all addresses are taken' >&2; exit 1; }
done
set +C
four=198.18.$((number / 256)).$((number % 256)) six=
[ ! -e /run/six ] || six=fd70:726f:6d69::$((number / 256 + 1)):$((number % 256))

ip -batch - <<END && nsenter "--net=/run/netns/$token" sh "${0%/*}/attached.sh" "$four" "$six" || { release; exit 1; }
netns add $token
link add v$number mtu 65520 type veth peer name eth0 mtu 65520 netns $token
addr add 198.18.0.1/32 dev v$number
${six:+addr add fd70:726f:6d69::1/128 dev v$number nodad}
link set v$number up
route add $four/32 dev v$number
${six:+route add $six/128 dev v$number}
END
: >"/run/ready/$token"
