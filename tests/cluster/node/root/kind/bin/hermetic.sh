#!/bin/bash
# Keeps the cluster's traffic inside: what would leave the node for anything
# but the container network it is on, or the pods, is refused.  So a test never
# depends on the world outside, and never reaches it by mistake.
set -eu

net=$(ip -4 route show dev eth0 scope link | awk '{ print $1; exit }')
pods=10.244.0.0/16

# Addresses of pods that are not there must not go to the gateway; those of
# pods that are have more specific routes.
ip route replace unreachable "$pods"

# Forward and output come after the translation of Service addresses.  Refusing
# is quicker for who asks than dropping; the last chain drops what is left.
nft -f - <<RULES
table inet hermetic {
	chain masq {
		type nat hook postrouting priority 100; policy accept;
		ip saddr $pods ip daddr != $pods oifname "eth0" masquerade
	}
	chain forwarded {
		type filter hook forward priority 300; policy accept;
		oifname "eth0" ip daddr != { $net, $pods } counter reject with icmpx admin-prohibited
	}
	chain own {
		type filter hook output priority 300; policy accept;
		oifname "eth0" ip daddr != { $net, $pods } counter reject with icmpx admin-prohibited
	}
	chain last {
		type filter hook postrouting priority 300; policy accept;
		oifname "eth0" ip daddr != { $net, $pods } counter drop
		oifname "eth0" ip6 daddr != { fe80::/10, ff00::/8, fc00::/7 } counter drop
	}
}
RULES
