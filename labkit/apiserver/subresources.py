"""Everything below objects, and the reviews: which handler answers what. What only the cluster can do, it gives."""

from __future__ import annotations

from functools import partial

from labkit.apiserver.access import reviews
from labkit.apiserver.access.access import Access
from labkit.apiserver.api import Verb
from labkit.apiserver.duties import Duties
from labkit.apiserver.verbs import accounts, namespaces, pods, scaling


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
