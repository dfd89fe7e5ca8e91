"""The order in which a change reaches the kernel, so that what is in force is consistent after every step.

    sets, chains -> rules of new chains -> chains in use, each at once -> elements that lead there
    -> elements that lead elsewhere or nowhere -> what nothing leads to any more

A small change is one transaction, in which the order does not show. A large one may need several (in a user namespace
one has to fit the socket's send buffer), and several are faster: in a transaction the kernel looks for a rule's
anonymous set among all that it makes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from labkit.linux.nftables.messages import Message, Messages
from labkit.net.nft.change import Change, Place
from labkit.net.nft.table import Key
from labkit.proxy.nftables.frame import (
    CLUSTER_IPS,
    FIREWALL_IPS,
    NO_NODE_PORTS,
    NO_SERVICES,
    NODE_PORT_IPS,
    NODE_PORTS,
    SERVICE_IPS,
)

# Refusals before what they refuse, and gone after it.
_ORDER = (FIREWALL_IPS, NO_SERVICES, NO_NODE_PORTS, SERVICE_IPS, NODE_PORTS, CLUSTER_IPS, NODE_PORT_IPS)
_TOGETHER = 200  # elements of one message
Group = Sequence[Message]


def leaf_groups(change: Change, make: Messages) -> Iterator[Group]:
    """What nothing in force leads to yet."""
    for one in change.sets:
        yield [make.add_set(one)]
    for chain in change.chains:
        yield [make.add_chain(chain)]
    for chain in change.chains:
        yield [message for rule in chain.rules for message in make.add_rule(chain.name, rule)]


def dispatch_groups(change: Change, make: Messages) -> Iterator[Group]:
    """What leads packets to the chains."""
    for chain in change.rewritten:
        yield [make.flush_chain(chain.name), *(m for rule in chain.rules for m in make.add_rule(chain.name, rule))]
    for name, put in _by_set(change.put, _ORDER).items():
        for some in _chunks(put):
            replaced = [key for key in some if (name, key) in change.taken]
            elements = [(key, change.put[name, key]) for key in some]
            yield [*make.delete_elements(name, replaced), *make.add_elements(name, elements)]
    gone = change.taken - change.put.keys()
    for name, keys in _by_set(gone, _ORDER[::-1]).items():
        for some in _chunks(keys):
            yield list(make.delete_elements(name, some))


def stale_groups(change: Change, make: Messages) -> Iterator[Group]:
    """What nothing leads to any more is emptied; sets go at once, chains afterwards."""
    for name in change.stale_chains:
        yield [make.flush_chain(name)]
    for name in change.stale_sets:
        yield [make.delete_set(name)]


def _by_set(places: Iterable[Place], order: Sequence[str]) -> dict[str, list[Key]]:
    found: dict[str, list[Key]] = defaultdict(list)
    for name, key in places:
        found[name].append(key)
    return {name: found[name] for name in order if name in found}


def _chunks(keys: list[Key]) -> Iterator[list[Key]]:
    return (keys[at : at + _TOGETHER] for at in range(0, len(keys), _TOGETHER))
