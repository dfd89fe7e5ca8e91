"""Who makes a request, and whether they may.

    certificate | bearer token | nothing ── user ── impersonation ── authorizer ── forbidden, or on to the verbs

Source: apiserver/pkg/endpoints/filters/{authentication,impersonation,authorization}.go.
"""

from __future__ import annotations

from urllib.parse import unquote

from labkit.apiserver import selection
from labkit.apiserver.access.rbac import Attributes, Authorizer
from labkit.apiserver.access.tokens import Tokens
from labkit.apiserver.call import User
from labkit.apiserver.http.messages import Request
from labkit.apiserver.routes import Route
from labkit.control import refusals, status

ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))
AUTHENTICATED = "system:authenticated"
EXTRA = "impersonate-extra-"
AUTHENTICATION = "authentication.k8s.io"


class Access:
    """Authentication and authorization of one server."""

    def __init__(self, authorizer: Authorizer, tokens: Tokens) -> None:
        self.authorizer = authorizer
        self.tokens = tokens

    def user(self, request: Request) -> User:
        """Raises Unauthorized (401) for a token that is not good, Forbidden or BadRequest for an impersonation."""
        user = self._bearer(request)
        if request.headers.get("impersonate-user"):
            return self._impersonated(user, request)
        if more := sorted(name for name in request.headers if name.startswith("impersonate-")):
            raise status.bad_request(f"requested {', '.join(more)} without impersonating a user")
        return user

    def check(self, user: User, route: Route, fields: str) -> None:
        """Raises Forbidden (403) where the user may not do that."""
        resource = route.resource
        name = route.name or (selection.single_name(fields) if fields and not route.name else "")
        wanted = Attributes(route.verb, resource.group, resource.plural, route.subresource, route.namespace, name)
        self.demand(user, wanted)

    def demand(self, user: User, wanted: Attributes) -> None:
        """Raises Forbidden."""
        decision = self.authorizer.decide(user, wanted)
        if decision.allowed:
            return
        if wanted.path:
            raise refusals.denied_path(user.name, wanted.verb, wanted.path)
        raise denied(user, wanted, decision.reason)

    def _bearer(self, request: Request) -> User:
        scheme, _, token = request.header("authorization").partition(" ")
        if scheme.lower() == "bearer" and token:
            user = self.tokens.user(token.strip())
            if user is None:
                raise refusals.unauthorized()
            return user
        if request.certified and request.certified.name:
            return User(request.certified.name, (*request.certified.groups, AUTHENTICATED))
        return ANONYMOUS

    def _impersonated(self, user: User, request: Request) -> User:
        """The user that the headers ask to be, if the real one may be them."""
        name = request.header("impersonate-user")
        listed = request.header("impersonate-group")
        groups = tuple(group.strip() for group in listed.split(",") if group.strip())
        uid = request.header("impersonate-uid")
        extra = {
            unquote(key.removeprefix(EXTRA)): value.split(",")
            for key, value in request.headers.items()
            if key.startswith(EXTRA)
        }
        account = name.split(":") if name.startswith("system:serviceaccount:") and name.count(":") == 3 else None
        if account:
            self.demand(user, Attributes("impersonate", "", "serviceaccounts", "", account[2], account[3]))
        else:
            self.demand(user, Attributes("impersonate", "", "users", name=name))
        for group in groups:
            self.demand(user, Attributes("impersonate", "", "groups", name=group))
        if uid:
            self.demand(user, Attributes("impersonate", AUTHENTICATION, "uids", name=uid))
        for key, values in extra.items():
            for value in values:
                self.demand(user, Attributes("impersonate", AUTHENTICATION, "userextras", key, name=value))
        if not groups and account:
            groups = ("system:serviceaccounts", f"system:serviceaccounts:{account[2]}")
        if name == ANONYMOUS.name:
            return User(name, groups or ANONYMOUS.groups, uid, extra)
        return User(name, groups if AUTHENTICATED in groups else (*groups, AUTHENTICATED), uid, extra)


def denied(user: User, wanted: Attributes, why: str) -> Exception:
    """The refusal of the authorizer, in its words."""
    plural = f"{wanted.resource}.{wanted.group}" if wanted.group else wanted.resource
    what = f'{plural} "{wanted.name}"' if wanted.name else plural
    where = f'in the namespace "{wanted.namespace}"' if wanted.namespace else "at the cluster scope"
    text = (
        f'User "{user.name}" cannot {wanted.verb} resource "{wanted.qualified}" in API group "{wanted.group}" {where}'
    )
    error = status.refusal(403, "Forbidden", f"{what} is forbidden: {text}" + (f": {why}" if why else ""))
    details = {"name": wanted.name, "group": wanted.group, "kind": wanted.resource}
    error.details["status"]["details"] = {key: value for key, value in details.items() if value}
    return error
