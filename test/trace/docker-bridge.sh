#!/bin/bash
# Builds the picture of docker-bridge.ts in namespaces of its own, captures at its five hops and makes some traffic.
# Runs inside `unshare --net` (as an ordinary user: with --user --map-current-user --keep-caps). Argument: folder for the captures.
set -eu
out=$1
mkdir -p "$out"
pids=()
# Everything that was started ends with this shell, whatever happened.
trap 'kill "${pids[@]}" 2>/dev/null || true' EXIT

unshare --net sleep 60 > /dev/null 2>&1 & client=$!
unshare --net sleep 60 > /dev/null 2>&1 & web=$!
pids+=("$client" "$web")
mine=$(readlink /proc/self/ns/net)
for pid in "$client" "$web"; do
  for _ in $(seq 500); do
    [ "$(readlink /proc/$pid/ns/net)" != "$mine" ] && [ "$(cat /proc/$pid/comm)" = sleep ] && break
    sleep 0.01
  done
done
in_client() { nsenter --target "$client" --net "$@"; }
in_web() { nsenter --target "$web" --net "$@"; }

# Without duplicate address detection, which would hold IPv6 back for a second or two.
for conf in all default; do
  for node in env in_client in_web; do $node sh -c "echo 0 > /proc/sys/net/ipv6/conf/$conf/accept_dad"; done
done
ip link set lo up; in_client ip link set lo up; in_web ip link set lo up
ip link add eth0 address 02:00:00:00:01:02 type veth peer name eth0 address 02:00:00:00:01:01 netns "$client"
ip link add vethweb address 02:00:00:00:02:02 type veth peer name eth0 address 02:00:00:00:02:03 netns "$web"
ip link add yapc0 address 02:00:00:00:02:01 type bridge forward_delay 0
ip link set vethweb master yapc0
ip address add 203.0.113.1/24 dev eth0
ip address add 10.0.0.1/24 dev yapc0
ip -6 address add 2001:db8::1/64 dev eth0 nodad
ip -6 address add fd00:10::1/64 dev yapc0 nodad
in_client ip address add 203.0.113.2/24 dev eth0
in_client ip -6 address add 2001:db8::2/64 dev eth0 nodad
in_web ip address add 10.0.0.10/24 dev eth0
in_web ip -6 address add fd00:10::10/64 dev eth0 nodad
ip link set eth0 up; ip link set vethweb up; ip link set yapc0 up
in_client ip link set eth0 up; in_web ip link set eth0 up
in_client ip route add default via 203.0.113.1
in_client ip -6 route add default via 2001:db8::1
in_web ip route add default via 10.0.0.1
in_web ip -6 route add default via fd00:10::1
echo 1 > /proc/sys/net/ipv4/ip_forward
echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
nft -f - <<'NFT'
table inet yapc_nat {
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    fib daddr type local tcp dport 8080 dnat ip to 10.0.0.10:80
    fib daddr type local tcp dport 8081 dnat ip to 10.0.0.10:81
    fib daddr type local tcp dport 8082 dnat ip to 10.0.0.10:82
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr 10.0.0.0/24 oifname "eth0" masquerade
  }
}
table inet yapc_filter {
  chain forward {
    type filter hook forward priority filter; policy accept;
    meta l4proto tcp th dport 81 drop comment "no 81"
  }
}
NFT
[ -n "${SEGMENTS:-}" ] && sh -c "$SEGMENTS" # e.g. turns offloads off, so that hops differ in segmentation

www=$(mktemp -d)
head -c 3000000 /dev/zero | tr '\0' 'x' > "$www/large"
echo hello > "$www/index.html"
# A simple command in the background is the process itself, which a signal then reaches.
nsenter --target "$web" --net busybox httpd -f -p '[::]:80' -h "$www" > /dev/null 2>&1 & pids+=($!)

taps=()
options=(-Z root -p -n --time-stamp-precision=nano --immediate-mode -B 8192 -s 256 -U)
capture() { # interface file prefix…
  local interface=$1 file="$out/$2"
  shift 2
  "$@" tcpdump "${options[@]}" -i "$interface" -w "$file.pcap" 2> "$file.log" &
  taps+=($!); pids+=($!)
}
capture eth0 client.eth0 nsenter --target "$client" --net
capture eth0 host.eth0 env
capture yapc0 host.yapc0 env
capture vethweb host.vethweb env
capture eth0 web.eth0 nsenter --target "$web" --net
for name in client.eth0 host.eth0 host.yapc0 host.vethweb web.eth0; do
  log="$out/$name.log"
  for _ in $(seq 1000); do grep -qs 'listening on' "$log" && break; sleep 0.01; done
  grep -q 'listening on' "$log" || { cat "$log" >&2; exit 3; }
done
for _ in $(seq 500); do in_web bash -c ': < /dev/tcp/127.0.0.1/80' 2> /dev/null && break; sleep 0.01; done

get() { in_client curl --silent --max-time 5 --output /dev/null "$1" || true; }
get http://203.0.113.1:8080/index.html
get http://203.0.113.1:8080/large
get 'http://[fd00:10::10]:80/large'
in_client curl --silent --max-time 0.4 --output /dev/null http://203.0.113.1:8081/ || true
get http://203.0.113.1:8082/
in_client busybox ping -c 2 -i 0.2 10.0.0.10 > /dev/null
in_web busybox ping -c 2 -i 0.2 203.0.113.2 > /dev/null
in_web busybox ping -c 2 -i 0.2 10.0.0.1 > /dev/null
in_web busybox ping -c 1 -s 4000 203.0.113.2 > /dev/null
in_client busybox ping6 -c 2 -i 0.2 fd00:10::10 > /dev/null 2>&1
in_web bash -c 'echo hi > /dev/udp/203.0.113.2/5353'
sleep 0.2 # the ICMP error of the last line has no other witness here

kill -TERM "${taps[@]}"
wait "${taps[@]}" || true # bounded: they have been told to end
rm -rf "$www"
