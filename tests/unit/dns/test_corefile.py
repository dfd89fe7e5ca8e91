from __future__ import annotations

import pytest

from labkit.dns import corefile
from labkit.dns.corefile import Block, Forward, Kubernetes, parse
from labkit.errors import ManifestError


def test_the_default_is_kubeadms_and_understood() -> None:
    (block,) = parse(corefile.default())
    zones = ("cluster.local.", "in-addr.arpa.", "ip6.arpa.")
    kubernetes = Kubernetes(zones, ttl=30, pods="insecure", fallthrough=zones[1:])
    forward = (Forward(".", ("/etc/resolv.conf",), max_concurrent=1000),)
    assert block == Block(
        (".",), kubernetes, forward, 8080, 8181, 9153, 30, loadbalance=True, reload=True, errors=True, loop=True
    )


def test_several_blocks_comments_and_quotes() -> None:
    first, second = parse(
        """
        # a stub domain
        corp.example:53 "Lab.example" { # two zones
            forward . 10.0.0.1 dns://10.0.0.2:5353 {
                policy sequential
                except a.corp.example
            }
            forward lab.example 10.0.0.3
            cache
        }
        . {
            kubernetes { # its zones are the block's
                namespaces shop ops
                fallthrough
                endpoint_pod_names
                ignore empty_service
            }
            log
        }
        """
    )
    assert first.zones == ("corp.example.", "lab.example.") and first.cache == 3600
    assert first.forward[0] == Forward(".", ("10.0.0.1", "10.0.0.2:5353"), ("a.corp.example.",), "sequential")
    assert first.forward[1].zone == "lab.example."
    assert second.kubernetes == Kubernetes(
        (".",), namespaces=("shop", "ops"), fallthrough=(".",), endpoint_pod_names=True, ignore_empty_service=True
    )
    assert second.log and not second.loadbalance


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no server block"),
        (".:53 {\n  rewrite name a b\n}", "line 2: plugin `rewrite` does not exist here. There are: cache, errors"),
        (".:53 {\n  kubernetes {\n    pods maybe\n  }\n}", "line 3: `pods maybe` is not understood"),
        (".:53 {\n  kubernetes {\n    tls a b c\n  }\n}", "line 3: option `tls` of plugin `kubernetes` does not exist"),
        (".:53 {\n  kubernetes {\n    ttl 4000\n  }\n}", "line 3: `ttl` takes one number from 0 to 3600"),
        (".:53 {\n  forward .\n}", "line 2: `forward` takes a zone"),
        (".:53 {\n  forward . tls://9.9.9.9\n}", "line 2: `tls://9.9.9.9` cannot be reached"),
        (".:53 {\n  cache 30 {\n    prefetch 1\n  }\n}", "line 3: option `prefetch`"),
        (".:53 {\n  health :x\n}", "line 2: `health` takes an address"),
        (".:53 {\n  log\n  log\n}", "line 3: plugin `log` stands in this server block already"),
        (".:5353 {\n  log\n}", "line 1: `.:5353` cannot be served"),
        (".:53 {\n  log", "line 1: `.:53 {` is never closed"),
        ("}", "line 1: `}` without a `{`"),
    ],
)
def test_faults_name_the_line_and_the_remedy(text: str, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse(text)
    assert message in caught.value.message
