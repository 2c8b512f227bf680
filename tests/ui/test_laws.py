"""The panel knows messages and snapshots only."""

from __future__ import annotations

import subprocess
import sys

BARRED = ("torch", "sounddevice", "rtmixer", "rtmidi", "audio_io", "lmdm.live.supervisor")


def test_the_panel_imports_no_model_and_no_device():
    code = (
        "import sys, ui.app, ui.demo, ui.screenshot;"
        f"print([name for name in {BARRED!r} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
