"""Takes that were recorded: what the browser shows of each, read without loading any sound."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from lmdm.live.messages import TakeSummary
from lmdm.live.take import AUDIO_NAME, LOG_NAME

SAMPLE_RATE = 44100
MOST_TAKES = 1000  # the newest
RENDERED = "render-*.wav"


def takes_in(folders: list[Path]) -> tuple[TakeSummary, ...]:
    """The takes in some folders, newest first; what is no take is passed over."""
    logs = {log.resolve(): log for folder in folders for log in folder.glob(f"*/{LOG_NAME}")}
    newest = sorted(logs.values(), key=_when, reverse=True)[:MOST_TAKES]
    found = (summary(log.parent) for log in newest)
    return tuple(take for take in found if take is not None)


def summary(folder: Path) -> TakeSummary | None:
    """What there is to say of a take; None where there is no whole header."""
    log = folder / LOG_NAME
    try:
        with log.open(encoding="utf-8") as lines:
            header: Any = json.loads(next(lines, ""))
        prompts = [str(text) for text, _ in header["settings"].get("prompts", ())]
        model = str(header["model"])
        samples = _samples(log)
        seconds = _seconds(folder / AUDIO_NAME) if samples is None else samples / SAMPLE_RATE
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    rendered = sorted(folder.glob(RENDERED), key=lambda file: file.stat().st_mtime)
    return TakeSummary(
        folder=str(folder),
        name=folder.name,
        seconds=round(seconds, 1),
        when=datetime.fromtimestamp(_when(log)).isoformat(timespec="seconds"),
        model=Path(model).name,
        prompts=tuple(prompts),
        rendered=str(rendered[-1]) if rendered else "",
        whole=samples is not None,
    )


def _when(log: Path) -> float:
    """When the take's log was written last; the distant past where it is gone by now."""
    try:
        return log.stat().st_mtime
    except OSError:
        return 0.0


def _samples(log: Path) -> int | None:
    """The length that the log's last line tells; None where the take was cut off."""
    with log.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - 4096))
        lines = file.read().splitlines()
    try:
        last = json.loads(lines[-1]) if lines else {}
    except ValueError:
        return None
    return int(last["samples"]) if isinstance(last, dict) and last.get("kind") == "end" else None


def _seconds(audio: Path) -> float:
    """The length of a sound file; 0 where it cannot be read."""
    import soundfile

    try:
        return float(soundfile.info(str(audio)).duration)
    except (OSError, RuntimeError):
        return 0.0
