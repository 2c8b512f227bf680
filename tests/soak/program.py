"""`lmdm` with a held-up engine: `python -m tests.soak.program DRILL live --take …`."""

from __future__ import annotations

import sys
from pathlib import Path

from tests import engine_drill

if __name__ == "__main__":
    from lmdm.cli.main import main

    engine_drill.install(Path(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
