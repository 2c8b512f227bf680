"""The session on disk, so that a crash of the whole program loses two seconds at most.

One JSON file: the musical state and the newest latents of what was heard, and which model played.
It says whether the session ended well; one that did not is gone on with at the next start.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lmdm.errors import InputError
from lmdm.live import wire
from lmdm.live.controls import Controls
from lmdm.live.messages import Message, PrimeWith, SetBeat, SetMeter
from lmdm.live.scenes import write_text

VERSION = 1
EVERY_SECONDS = 2.0


@dataclass(frozen=True)
class Saved:
    """A session as it was kept."""

    model: str
    model_sha256: str
    state: Mapping[str, Any]
    recent: np.ndarray  # newest latents [C, n]
    when: float  # seconds since the epoch
    ended: bool  # whether it was closed by the musician
    take: str = ""  # folder of the take that was recorded then

    @property
    def controls(self) -> Controls:
        """As the musician left them."""
        return Controls.from_dict(self.state["controls"])

    def beginning(self) -> list[Message]:
        """Controls that make a new session of the same settings go on from where it stood."""
        clock = self.state["clock"]
        return [
            SetMeter(clock["beats_per_bar"], clock["bars_per_phrase"]),
            SetBeat(max(0.0, float(self.state["beat"]))),
            PrimeWith(wire.text_of(self.recent)),
        ]

    def write(self, path: Path) -> None:
        """Writes the file whole or not at all. Raises InputError if that cannot be."""
        values = {
            "lmdm_session": VERSION,
            "model": self.model,
            "model_sha256": self.model_sha256,
            "state": self.state,
            "recent": wire.pack(self.recent),
            "when": self.when,
            "ended": self.ended,
            "take": self.take,
        }
        write_text(path, json.dumps(values))

    def in_words(self, now: float | None = None) -> str:
        """When it was, for the musician."""
        ago = max(0.0, (time.time() if now is None else now) - self.when)
        bar = int(float(self.state["beat"]) // int(self.state["clock"]["beats_per_bar"])) + 1
        minutes = f"{ago / 60:.0f} minutes" if ago >= 90 else f"{ago:.0f} seconds"
        how = "ended" if self.ended else "broke off"
        return f"the session that {how} {minutes} ago, at bar {bar}"


def read(path: Path) -> Saved | None:
    """The session of a file; None if there is none.

    Raises:
        InputError: the file is damaged, or of another version.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as problem:
        raise InputError(f"the kept session {path} cannot be read: {problem}") from None
    try:
        if values["lmdm_session"] != VERSION:
            raise InputError(f"the kept session {path} is of another version")
        saved = Saved(
            model=str(values["model"]),
            model_sha256=str(values["model_sha256"]),
            state=dict(values["state"]),
            recent=wire.unpack(values["recent"]),
            when=float(values["when"]),
            ended=bool(values["ended"]),
            take=str(values.get("take", "")),
        )
        saved.in_words(), saved.controls
    except (KeyError, TypeError, ValueError) as problem:
        if isinstance(problem, InputError):
            raise
        raise InputError(f"the kept session {path} is damaged: {problem!r}") from None
    return saved
