"""Reading sound files: stereo, 44.1 kHz."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lmdm.errors import InputError

if TYPE_CHECKING:
    import soundfile

SAMPLE_RATE = 44100
LONGEST_INPUT_SECONDS = 3600.0


def read_sound(path: Path) -> np.ndarray:
    """A sound file as [n, 2] float32 at 44.1 kHz; mono is doubled, further channels are left out.

    Raises:
        InputError: it cannot be read, is empty, is not finite, or is over an hour long.
    """
    import soundfile
    import soxr

    try:
        with soundfile.SoundFile(str(path)) as file:
            _check_length(file, path)
            rate = file.samplerate
            sound = file.read(dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError, RuntimeError) as problem:
        reason = "there is no such file" if not path.exists() else _reason(problem)
        raise InputError(f"the sound file {path} cannot be read: {reason}") from None
    if not len(sound) or not np.isfinite(sound).all():
        what = "is empty" if not len(sound) else "has samples that are not numbers"
        raise InputError(f"the sound file {path} {what}")
    sound = sound[:, :2] if sound.shape[1] > 1 else np.repeat(sound, 2, axis=1)
    if rate != SAMPLE_RATE:
        sound = soxr.resample(sound, rate, SAMPLE_RATE)
    return np.ascontiguousarray(sound, np.float32)


def check_sound(path: Path) -> None:
    """Raises InputError unless a file seems to be sound that can be read; does not read it all."""
    import soundfile

    try:
        with soundfile.SoundFile(str(path)) as file:
            _check_length(file, path)
    except (OSError, soundfile.SoundFileError, RuntimeError) as problem:
        reason = "there is no such file" if not path.exists() else _reason(problem)
        raise InputError(f"the sound file {path} cannot be read: {reason}") from None


def _check_length(file: soundfile.SoundFile, path: Path) -> None:
    if file.frames > LONGEST_INPUT_SECONDS * file.samplerate or file.channels > 64:
        raise InputError(f"the sound file {path} is too long (over an hour); cut a part out of it")


def _reason(problem: Exception) -> str:
    words = str(problem).split(": ")[-1].strip().rstrip(".")
    return words[:1].lower() + words[1:]
