"""The image of binder/Dockerfile, built once for all tests; nothing of it stays behind but the cache.

The cache is in LABKIT_BINDER_CACHE, else in the user's cache folder: 1 GB, and it may be deleted at any time.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from image import Image, build

GIVEN = {"NB_USER": "learner", "NB_UID": "1000"}  # as Binder gives them, and not the Dockerfile's own


@pytest.fixture(scope="session")
def image() -> Iterator[Image]:
    if os.geteuid() != 0:
        pytest.skip("only root can build an image without a container engine")
    if not shutil.which("debootstrap"):
        pytest.skip("debootstrap is needed: ./tests/run --all installs it")
    users = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = Path(os.environ.get("LABKIT_BINDER_CACHE") or Path(users, "labkit", "binder"))
    cache.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="labkit-binder-") as temporary:
        try:
            yield build(GIVEN, cache, Path(temporary))
        except LookupError as error:
            pytest.skip(str(error))
