"""What leaves the cluster for the world gets its node's address: nobody out there knows the way to pods.

Source: kindnet's masquerading (kubernetes-sigs/kind, images/kindnetd), with its chain's name and comments.
"""

from __future__ import annotations

from labkit.net.rules import Family, Ruleset, ruleset

CHAIN = "KIND-MASQ-AGENT"
_JUMP = (
    "kind-masq-agent: ensure nat POSTROUTING directs all non-LOCAL destination traffic to our custom "
    "KIND-MASQ-AGENT chain"
)
_LOCAL = "kind-masq-agent: local traffic is not subject to MASQUERADE"
_LAST = "kind-masq-agent: outbound traffic is subject to MASQUERADE (must be last in chain)"


def plan(pod_network: str) -> Ruleset:
    """The same rules on every node; traffic to `pod_network` keeps its source. Its IP version is that of the rules."""
    family: Family = "IPv6" if ":" in pod_network else "IPv4"
    return ruleset(
        {
            "nat": {
                "POSTROUTING": [f'-m addrtype ! --dst-type LOCAL -m comment --comment "{_JUMP}" -j {CHAIN}'],
                CHAIN: [
                    f'-d {pod_network} -m comment --comment "{_LOCAL}" -j RETURN',
                    f'-m comment --comment "{_LAST}" -j MASQUERADE',
                ],
            }
        },
        family,
    )
