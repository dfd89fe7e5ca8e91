"""What a request is about: the resource, its place, its name, and the verb that authorization knows it by. Pure.

    GET /apis/apps/v1/namespaces/shop/deployments/web/status?watch=1
        └── api version ──┘  └ namespace ┘ └ resource ┘ name └ subresource

Source: apiserver/pkg/endpoints/request/requestinfo.go.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from labkit.api.kinds import Catalogue
from labkit.api.resources import Resource
from labkit.control import refusals

TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
COLLECTION = {"GET": "list", "POST": "create", "DELETE": "deletecollection"}
OBJECT = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
BELOW = {**OBJECT, "POST": "create"}
CONNECTED = frozenset({"attach", "exec", "portforward", "proxy"})


class Route(msgspec.Struct, frozen=True):
    """A request for a resource. `name` is empty for a collection, `namespace` for all of them or none.

    verb   as RBAC knows it: get, list, watch, create, update, patch, delete, deletecollection
    rest   the path behind the subresource
    """

    verb: str
    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What the store keeps the object under."""
        return self.resource.key, self.namespace if self.resource.namespaced else "", self.name


def words(path: str) -> list[str]:
    return [word for word in path.split("/") if word]


def parse(method: str, path: str, watching: bool, catalogue: Catalogue) -> Route | None:
    """The route of a path below /api or /apis; None for one that leads to no resource: discovery and the like.

    Raises NotFound (404) for a resource that is not served, MethodNotAllowed (405).
    """
    found = words(path)
    version, rest = _version(found)
    if not version or not rest:
        return None
    if old_watch := rest[0] == "watch":
        rest = rest[1:]
    namespace, rest = _namespace(rest)
    if not rest:
        return None
    resource = catalogue.served(version, rest[0])
    if resource is None:
        raise refusals.not_served()
    name, sub = (rest[1] if len(rest) > 1 else ""), (rest[2] if len(rest) > 2 else "")
    if sub and sub not in resource.subresources:
        raise refusals.not_served()
    if len(rest) > 3 and sub not in CONNECTED:
        raise refusals.not_served()
    verb = _verb(resource, method, name, sub, watching or old_watch)
    if resource.namespaced and not namespace and (name or verb not in ("list", "watch")):
        raise refusals.method_not_allowed(resource, verb)
    if namespace and not resource.namespaced and resource.plural != "namespaces":
        raise refusals.not_served()
    if not sub and verb not in resource.verbs:
        raise refusals.method_not_allowed(resource, verb)
    return Route(verb, resource, namespace, name, sub, "/".join(rest[3:]))


def _version(found: Sequence[str]) -> tuple[str, list[str]]:
    """The API version, and the words behind it."""
    if found[:1] == ["api"] and len(found) > 1:
        return found[1], list(found[2:])
    if found[:1] == ["apis"] and len(found) > 2:
        return f"{found[1]}/{found[2]}", list(found[3:])
    return "", []


def _namespace(rest: list[str]) -> tuple[str, list[str]]:
    """The namespace, and the words that name the resource in it: a Namespace itself is one in its own namespace."""
    if rest[:1] != ["namespaces"] or len(rest) < 2:
        return "", rest
    if len(rest) == 2 or (rest[2] in ("status", "finalize") and len(rest) == 3):
        return rest[1], rest
    return rest[1], rest[2:]


def _verb(resource: Resource, method: str, name: str, sub: str, watching: bool) -> str:
    known = BELOW if sub else OBJECT if name else COLLECTION
    verb = known.get(method)
    if verb is None:
        raise refusals.method_not_allowed(resource, method.lower())
    return "watch" if watching and not sub and verb in ("get", "list") else verb
