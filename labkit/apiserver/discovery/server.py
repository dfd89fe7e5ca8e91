"""What a server says of itself: `/version`, and at `/` the paths that it has.

Source: apimachinery/pkg/version/types.go; apiserver/pkg/server/routes.
"""

from __future__ import annotations

import os
import sys

from labkit.api.kinds import Catalogue
from labkit.apiserver.discovery.groups import groups

MAJOR, MINOR = "1", "34"
HEALTH = ("/healthz", "/livez", "/readyz")
OPENAPI = ("/openapi/v2", "/openapi/v3")
PLATFORMS = {"x86_64": "amd64", "aarch64": "arm64"}


def version() -> dict[str, str]:
    """The version of Kubernetes whose semantics are served. Its build metadata tells that the server is the lab's."""
    machine = os.uname().machine
    return {
        "major": MAJOR,
        "minor": MINOR,
        "emulationMajor": MAJOR,
        "emulationMinor": MINOR,
        "minCompatibilityMajor": MAJOR,
        "minCompatibilityMinor": "33",
        "gitVersion": f"v{MAJOR}.{MINOR}.0+labkit",
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": sys.implementation.name,
        "platform": f"linux/{PLATFORMS.get(machine, machine)}",
    }


def paths(catalogue: Catalogue) -> dict[str, list[str]]:
    """What `/` answers."""
    found = ["/api", "/apis", *HEALTH, *OPENAPI, "/version"]
    for group in groups(catalogue):
        if group.name:
            found.append(f"/apis/{group.name}")
        root = "/apis" if group.name else "/api"
        found += [f"{root}/{group.api_version(version)}" for version in group.versions]
    return {"paths": sorted(found)}
