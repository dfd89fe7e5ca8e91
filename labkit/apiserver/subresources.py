"""Everything below objects, and the reviews: which handler answers what. What only the cluster can do, it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from labkit.apiserver.access import reviews
from labkit.apiserver.access.access import Access
from labkit.apiserver.api import Verb
from labkit.apiserver.verbs import accounts, namespaces, pods, scaling


@dataclass(frozen=True)
class Duties:
    """What the nodes and controllers of a cluster do for its API server.

    more  handlers of further subresources, by "pods/exec"
    """

    read_log: pods.ReadLog
    evict: pods.Evict
    more: Mapping[str, Verb]


def handlers(access: Access, duties: Duties) -> dict[str, Verb]:
    """By "plural.group/subresource", "*/subresource", or "plural.group" of what is not stored."""
    return {
        "*/scale": scaling.scale,
        "bindings": pods.bind,
        "namespaces/finalize": namespaces.finalize,
        "pods/binding": pods.bind,
        "pods/eviction": partial(pods.evict, do=duties.evict),
        "pods/log": partial(pods.log, read=duties.read_log),
        "serviceaccounts/token": partial(accounts.token, tokens=access.tokens),
        **reviews.handlers(access),
        **duties.more,
    }
