"""Takes of a performance: begun and ended at any time, the log reaching back to its beginning."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from audio_io.wav import repair
from lmdm.cli.stage.take_recorder import TakeRecorder
from lmdm.errors import InputError
from lmdm.live.mixdown import SAMPLE_RATE
from lmdm.live.past import Past
from lmdm.live.take import AUDIO_NAME, INPUT_NAME, Applied, Held, TakeHeader, new_take_folder

BYTES_A_SECOND = SAMPLE_RATE * 2 * 4 * 1.01  # float32, stereo, and the log
GROWS_SECONDS = 0.5  # a recorder writes five times as often


class Takes:
    """Everything that happened, and the take that is recorded now.

    Threads: the output thread calls `hear`, `hear_input` and `held`, the supervisor's `applied` and
    `remarked`; the rest may be called from any thread.
    """

    def __init__(self, settle: Callable[[], None]) -> None:
        """`settle` has every control told to `applied` that was heard by now."""
        self._settle = settle
        self._past = Past()  # but for the newest hold, which may go on, and the instant lane
        self._hold: Held | None = None
        self._instant: list[Applied] = []  # of those that only set a value, the newest
        self._lock = threading.Lock()
        self._take: TakeRecorder | None = None
        self.last = ""  # the folder of the newest take

    @property
    def folder(self) -> str:
        """Of the take that is recorded now; empty when none."""
        take = self._take
        return str(take.folder) if take is not None else ""

    @property
    def error(self) -> str:
        """Why recording stopped; empty when it did not."""
        take = self._take
        return (take.error or "") if take is not None else ""

    def start(self, folder: Path | None, header: TakeHeader) -> None:
        """Ends the present take and begins one. Raises InputError if the folder cannot be used."""
        self.stop()
        made = new_take_folder(folder)
        with self._lock:
            self._let_go()
            self._take = TakeRecorder(made, header, self._past.texts(), self._instant)
        self.last = str(made)

    def stop(self) -> None:
        """Ends the present take, if there is one."""
        take = self._take
        if take is None:
            return
        take.end()
        self._settle()  # what was heard up to there is in the log
        with self._lock:
            self._take = None
        take.close()

    def hear(self, pcm: np.ndarray, position: int) -> None:
        """A piece of the stream [n, 2]."""
        take = self._take
        if take is not None:
            take.hear(pcm, position)

    def hear_input(self, pcm: np.ndarray, behind: int) -> None:
        """Live input that is heard `behind` samples before the stream's next."""
        take = self._take
        if take is not None:
            take.hear_input(pcm, behind)

    def applied(self, entry: Applied) -> None:
        """A control that took effect."""
        with self._lock:
            if entry.message.lane == "instant":  # of a fader's way only its end matters later
                old = [e for e in self._instant if not entry.message.supersedes(e.message)]
                self._instant = [*old, entry]
            else:
                self._past.add(entry)
            take = self._take
        if take is not None:
            take.applied(entry)

    def held(self, position: int, samples: int) -> None:
        """The last bars looped from `position` on for `samples`."""
        with self._lock:
            last = self._hold
            if last is not None and last.sample + last.samples == position:
                self._hold = Held(last.sample, last.samples + samples)
            else:
                self._let_go()
                self._hold = Held(position, samples)
            take = self._take
        if take is not None:
            take.held(position, samples)

    def _let_go(self) -> None:
        """The newest hold goes on no longer."""
        if self._hold is not None:
            self._past.add(self._hold)
            self._hold = None

    def remarked(self, position: int, text: str) -> None:
        """Something worth telling in the log."""
        take = self._take
        if take is not None:
            take.remark(position, text)

    def disk_seconds(self) -> float | None:
        """How long the disk lasts; None while nothing is recorded, or where that is unknown."""
        take = self._take
        if take is None:
            return None
        try:
            return shutil.disk_usage(take.folder).free / BYTES_A_SECOND
        except OSError:
            return None


def mend(folder: Path) -> str:
    """Completes the sound files of a take that broke off; one line for the musician.

    Empty if there is no such take any more, or if another program still records it.
    """
    paths = [path for path in (folder / AUDIO_NAME, folder / INPUT_NAME) if path.is_file()]
    if not (folder / AUDIO_NAME).is_file() or _grow(paths):
        return ""
    try:
        seconds = [repair(path) / SAMPLE_RATE for path in paths]
    except InputError as problem:
        return str(problem)
    return f"the take in {folder} broke off after {seconds[0]:.1f} s; all of it is there"


def _grow(paths: list[Path]) -> bool:
    before = [path.stat() for path in paths]
    if time.time() - max(each.st_mtime for each in before) > 2 * GROWS_SECONDS:
        return False
    time.sleep(GROWS_SECONDS)
    return [path.stat().st_size for path in paths] != [each.st_size for each in before]


def versions() -> dict[str, str]:
    """Versions of what computes the samples."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": ".".join(map(str, sys.version_info[:3])), "platform": sys.platform}
    for name in ("lmdm-live", "torch", "numpy", "onnxruntime"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "from source"
    found["cores"] = str(os.cpu_count())
    return found
