"""Secrets of type kubernetes.io/service-account-token: filled with a token that does not expire, gone with its account.

Source: kubernetes/pkg/controller/serviceaccount/tokens_controller.go.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from labkit.apiserver.access.tokens import Tokens
from labkit.control.store import Store
from labkit.control.watch import Event

Raw = dict[str, Any]

TYPE = "kubernetes.io/service-account-token"
NAME, UID = "kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"
FIELDS = ("ca.crt", "namespace", "token")


class Secrets:
    """Follows Secrets and ServiceAccounts."""

    def __init__(self, store: Store, tokens: Tokens, authority: bytes) -> None:
        self._store = store
        self._tokens = tokens
        self._authority = authority
        store.watch(["Secret", "ServiceAccount"], self._heard)

    def _heard(self, event: Event) -> None:
        raw = event.object
        if raw["kind"] == "Secret":
            found = self._store.find("Secret", raw["metadata"]["namespace"], raw["metadata"]["name"])
            self._settle([found] if found else [])
        else:
            self._settle(self._store.list("Secret", raw["metadata"]["namespace"]))

    def _settle(self, secrets: Any) -> None:
        for secret in secrets:
            metadata = secret["metadata"]
            annotations = metadata.get("annotations") or {}
            if secret.get("type") != TYPE or NAME not in annotations or "deletionTimestamp" in metadata:
                continue
            account = self._store.find("ServiceAccount", metadata["namespace"], annotations[NAME])
            if account is None or annotations.get(UID, account["metadata"]["uid"]) != account["metadata"]["uid"]:
                self._store.delete("Secret", metadata["namespace"], metadata["name"])
            elif UID not in annotations or not all(field in (secret.get("data") or {}) for field in FIELDS):
                self._fill(secret, account)

    def _fill(self, secret: Raw, account: Raw) -> None:
        metadata = secret["metadata"]
        values = {
            "ca.crt": self._authority,
            "namespace": metadata["namespace"].encode(),
            "token": self._tokens.legacy(account, metadata["name"]).encode(),
        }

        def change(raw: Raw) -> None:
            raw["metadata"]["annotations"][UID] = account["metadata"]["uid"]
            given = raw.get("data") or {}
            raw["data"] = {**{name: b64encode(value).decode() for name, value in values.items()}, **given}

        self._store.update("Secret", metadata["namespace"], metadata["name"], change)
