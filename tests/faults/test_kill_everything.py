"""`kill -9` of the program, and of every process of it at once, while it records.

What the next start finds: a take with at most a second lost, whose log gives the same samples
again, and which it completes; the session, from which it goes on; and memory that nobody owns any
more, which it frees. No process is left.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_io.wav import HEADER_BYTES
from lmdm.live.ring import SHARED_MEMORY
from lmdm.live.take import AUDIO_NAME, read_take
from tests.faults.listening import until
from tests.processes import family

pytestmark = [pytest.mark.slow, pytest.mark.jack]

LOST_SECONDS = 1.0
PLAY_SECONDS = 9.0


def _start(home: Path, model: Path, *options: str) -> subprocess.Popen:
    environment = {**os.environ}
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        environment[name] = str(home)
    command = [sys.executable, "-m", "lmdm", "live", "--no-gui", "--model", str(model), *options]
    root = Path(__file__).parents[2]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
    return subprocess.Popen(command, cwd=root, env=environment, text=True, **pipes)


@pytest.mark.parametrize("whom", ["the program", "every process"])
def test_what_is_left_after_kill_9(
    whom: str, jack: object, tiny_model: Path, tmp_path: Path, note: Callable[..., None]
) -> None:
    take, home = tmp_path / "take", tmp_path / "home"
    program = _start(home, tiny_model, "--take", str(take), "--audio-device", "system", "--fresh")
    audio = take / AUDIO_NAME
    until(lambda: audio.exists() and audio.stat().st_size > 1000, "the take", patience=120.0)
    begun = time.monotonic()
    time.sleep(PLAY_SECONDS)
    processes = family(program.pid)
    assert len(processes) >= 4  # the program, its engine, the audio and the MIDI process
    played = time.monotonic() - begun
    for each in processes if whom == "every process" else [program.pid]:
        os.kill(each, signal.SIGKILL)
    program.communicate(timeout=30)
    gone = until(lambda: not any(map(_lives, processes)), "the others' end")
    until(lambda: not _rings(program.pid) or whom == "every process", "the rings' end")
    left = len(_rings(program.pid))

    heard, rate = soundfile.read(audio, dtype="float32")
    lost = played - len(heard) / rate
    read_take(take)
    again = tmp_path / "again.wav"
    replay = [sys.executable, "-m", "lmdm", "render", "--replay", str(take), "--out", str(again)]
    subprocess.run([*replay, "--threads", "1"], check=True, capture_output=True)
    rendered, _ = soundfile.read(again, dtype="float32")
    apart = float(np.abs(rendered[: len(heard)] - heard).max())

    following = _start(home, tiny_model, "--seconds", "3", "--json")
    said, told = following.communicate(timeout=120)
    restored = re.search(r"going on with (the session that broke off .*?); --fresh", told)
    mended, _ = soundfile.read(audio, dtype="float32")
    frames = (audio.stat().st_size - HEADER_BYTES) / (2 * 4)
    note(
        fault=f"kill -9 of {whom}", played_s=round(played, 2), lost_s=round(lost, 2),
        others_end_s=round(gone, 2), replay_differs=apart, rings_left=left,
        mended_s=round(len(mended) / rate, 2), line=restored.group(0) if restored else "",
    )  # fmt: skip
    assert lost < LOST_SECONDS
    assert apart < 1e-6
    assert restored, told
    assert f"the take in {take} broke off after {len(mended) / rate:.1f} s" in told
    assert len(mended) == frames >= len(heard)
    assert (mended[: len(heard)] == heard).all()
    assert not _rings(program.pid)
    assert json.loads(said.splitlines()[-1])["underruns"] == 0
    shutil.rmtree(home)


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def _rings(pid: int) -> list[Path]:
    return list(SHARED_MEMORY.glob(f"lmdm_{pid}_*"))
