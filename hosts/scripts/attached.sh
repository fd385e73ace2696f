# attached.sh IPV4_ADDRESS IPV6_ADDRESS
#
# The part of attach.sh that is done in the namespace of the run: its addresses, and its way to the gateway.
set -u

if [ -s /run/doors ]; then
  # What is to be reached of the machine has addresses that this namespace has too.
  for setting in route_localnet accept_local; do echo 1 >"/proc/sys/net/ipv4/conf/all/$setting" || exit 1; done
  echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter
  echo 0 >/proc/sys/net/ipv4/conf/eth0/rp_filter
fi
{
  while IFS= read -r line; do printf '%s\n' "$line"; done </run/rules
  echo "addr add $1/32 dev eth0"
  [ -z "$2" ] || echo "addr add $2/128 dev eth0 nodad"
  echo 'link set eth0 up'
  echo 'route add 198.18.0.1 dev eth0'
  echo 'route add default via 198.18.0.1 dev eth0'
  if [ -n "$2" ]; then
    echo 'route add fd70:726f:6d69::1 dev eth0'
    echo 'route add default via fd70:726f:6d69::1 dev eth0'
  fi
  [ ! -s /run/doors ] || echo 'route add default via 198.18.0.1 dev eth0 table 100'
} | ip -batch -
