"""Tokens of ServiceAccounts: JSON Web Tokens that the lab signs, and what they say about their bearer.

    header . claims . signature          ES256 (RFC 7515, 7518); claims as a real API server writes them

A token is good while its ServiceAccount lives, and the pod or Secret that it is bound to, by their uids.
Source: kubernetes/pkg/serviceaccount/{claims,legacy,jwt}.go; KEP-1205; KEP-4193.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import msgspec

from labkit.apiserver.access.certificates import new_key, read_key, written_key
from labkit.apiserver.call import User
from labkit.control.store import Store

Raw = dict[str, Any]

ISSUER = "https://kubernetes.default.svc.cluster.local"
LEGACY_ISSUER = "kubernetes/serviceaccount"
LEGACY = "kubernetes.io/serviceaccount/"
HOUR, LONGEST, SHORTEST = 3600, 2**32, 600
REMEMBERED = 1000  # signatures
EXTRA = "authentication.kubernetes.io/"


def service_account_name(namespace: str, name: str) -> str:
    return f"system:serviceaccount:{namespace}:{name}"


class Tokens:
    """Signs and checks tokens, with a new key or the one given in PEM. To be made in a thread: what it imports is slow.

    Raises ValueError where that is no P-256 key.
    """

    def __init__(self, store: Store, key: bytes = b"") -> None:
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        self._store = store
        self._key = read_key(key) if key else new_key()
        public = self._key.public_key()
        written = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self._kid = _text(hashlib.sha256(written).digest())
        self._public = public
        self._good: OrderedDict[str, Raw] = OrderedDict()

    @property
    def key(self) -> bytes:
        """The key that signs, in PEM."""
        return written_key(self._key)

    def issue(self, account: Raw, audiences: Sequence[str], seconds: int, bound: Raw | None = None) -> tuple[str, int]:
        """A token for a ServiceAccount, and when it expires (seconds since 1970); `bound` to a Pod, Secret or Node."""
        metadata, now = account["metadata"], int(time.time())
        private: Raw = {"namespace": metadata["namespace"]}
        if bound is not None:
            private[bound["kind"].lower()] = _who(bound)
            if node := bound["kind"] == "Pod" and self._node(bound):
                private["node"] = node
        private["serviceaccount"] = _who(account)
        claims = {
            "aud": list(audiences) or [ISSUER],
            "exp": now + seconds,
            "iat": now,
            "iss": ISSUER,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": private,
            "nbf": now,
            "sub": service_account_name(metadata["namespace"], metadata["name"]),
        }
        return self._signed(claims), now + seconds

    def legacy(self, account: Raw, secret: str) -> str:
        """The token that a Secret of type kubernetes.io/service-account-token holds: it does not expire."""
        metadata = account["metadata"]
        claims = {
            "iss": LEGACY_ISSUER,
            f"{LEGACY}namespace": metadata["namespace"],
            f"{LEGACY}secret.name": secret,
            f"{LEGACY}service-account.name": metadata["name"],
            f"{LEGACY}service-account.uid": metadata["uid"],
            "sub": service_account_name(metadata["namespace"], metadata["name"]),
        }
        return self._signed(claims)

    def user(self, token: str, audiences: Sequence[str] = ()) -> User | None:
        """Whose token it is, None where it is not good for one of these audiences (none: the API server's)."""
        claims = self._claims(token)
        if claims is None:
            return None
        if claims.get("iss") == LEGACY_ISSUER:
            namespace, name = claims[f"{LEGACY}namespace"], claims[f"{LEGACY}service-account.name"]
            secret = self._store.find("Secret", namespace, claims[f"{LEGACY}secret.name"])
            uid = claims[f"{LEGACY}service-account.uid"]
            return self._account(namespace, name, uid, {}) if secret else None
        wanted = set(audiences) or {ISSUER}
        if time.time() >= claims["exp"] or not wanted & set(claims["aud"]):
            return None
        private = claims["kubernetes.io"]
        # A pod's token tells of its node as well, but lives with the pod.
        bound = [kind for kind in ("pod", "secret") if kind in private] or ["node"]
        if not all(self._lives(kind, private) for kind in bound):
            return None
        who = private["serviceaccount"]
        return self._account(private["namespace"], who["name"], who["uid"], _extra(claims["jti"], private))

    def audiences(self, token: str) -> list[str]:
        """Whom a good token is for."""
        claims = self._claims(token) or {}
        return list(claims.get("aud", [ISSUER]))

    def _account(self, namespace: str, name: str, uid: str, extra: dict[str, list[str]]) -> User | None:
        account = self._store.find("ServiceAccount", namespace, name)
        if account is None or account["metadata"]["uid"] != uid:
            return None
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
        return User(service_account_name(namespace, name), groups, uid, extra)

    def _lives(self, kind: str, private: Raw) -> bool:
        """Whether what a token is bound to is there, or the token is bound to no such thing."""
        if (wanted := private.get(kind)) is None:
            return True
        found = self._store.find(kind.capitalize(), "" if kind == "node" else private["namespace"], wanted["name"])
        return found is not None and bool(found["metadata"]["uid"] == wanted["uid"])

    def _node(self, pod: Raw) -> Raw | None:
        node = self._store.find("Node", "", pod["spec"].get("nodeName", ""))
        return _who(node) if node else None

    def _signed(self, claims: Raw) -> str:
        from cryptography.hazmat.primitives.asymmetric import ec, utils
        from cryptography.hazmat.primitives.hashes import SHA256

        head = _text(msgspec.json.encode({"alg": "ES256", "kid": self._kid}))
        body = f"{head}.{_text(msgspec.json.encode(claims))}"
        r, s = utils.decode_dss_signature(self._key.sign(body.encode(), ec.ECDSA(SHA256())))
        return f"{body}.{_text(r.to_bytes(32) + s.to_bytes(32))}"

    def _claims(self, token: str) -> Raw | None:
        """The claims of a token that this key signed. Signatures that were good once are remembered."""
        if (known := self._good.get(token)) is not None:
            return known
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric import ec, utils
        from cryptography.hazmat.primitives.hashes import SHA256

        body, _, signature = token.rpartition(".")
        try:
            raw = _bytes(signature)
            written = utils.encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
            self._public.verify(written, body.encode(), ec.ECDSA(SHA256()))
            claims: Raw = msgspec.json.decode(_bytes(body.partition(".")[2]))
        except (InvalidSignature, ValueError, msgspec.DecodeError):
            return None
        self._good[token] = claims
        if len(self._good) > REMEMBERED:
            self._good.popitem(last=False)
        return claims


def _who(raw: Raw) -> Raw:
    return {"name": raw["metadata"]["name"], "uid": raw["metadata"]["uid"]}


def _extra(token_id: str, private: Raw) -> dict[str, list[str]]:
    """What TokenReview tells beside the name."""
    found = {f"{EXTRA}credential-id": [f"JTI={token_id}"]}
    for kind in ("node", "pod"):
        if kind in private:
            found[f"{EXTRA}{kind}-name"] = [private[kind]["name"]]
            found[f"{EXTRA}{kind}-uid"] = [private[kind]["uid"]]
    return found


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
