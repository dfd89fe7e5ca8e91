"""Live tests run in the sandbox; `inside` is importable from every one of them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
