"""What a command in a container sees of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from labkit.linux.filesystem import Filesystem


@dataclass(frozen=True)
class Inside:
    """Environment, working directory and files; by default those of the pod alone."""

    variables: dict[str, str] = field(default_factory=dict)
    cwd: str = "/"
    filesystem: Filesystem | None = None
