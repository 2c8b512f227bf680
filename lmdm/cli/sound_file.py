"""Writing sound files: stereo, 44.1 kHz, written beside and renamed."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

import numpy as np

SAMPLE_RATE = 44100
SUFFIXES = (".wav", ".flac")


def write_sound(path: Path, pieces: Iterable[np.ndarray]) -> tuple[int, float]:
    """Writes pieces [n, 2] to a WAV (32-bit float) or FLAC (24-bit) file.

    The file appears under its name only when it is whole; if `pieces` fails, nothing is left.
    Equal samples give equal bytes: neither format here has a time stamp.

    Returns: samples written and their highest absolute value.
    """
    samples, peak = 0, 0.0
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        writer = _flac if path.suffix.lower() == ".flac" else _wav
        with beside.open("xb") as file, closing(writer(file)) as write:
            next(write)
            for piece in pieces:
                write.send(piece)
                samples += len(piece)
                peak = max(peak, float(np.abs(piece).max(initial=0.0)))
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    return samples, peak


def _wav(file: BinaryIO) -> Generator[None, np.ndarray, None]:
    """Takes pieces into a WAV file as takes are: libsndfile's would hold the time of day."""
    from audio_io.recorder import encode
    from audio_io.wav import WavFormat, finish, header

    form = WavFormat(SAMPLE_RATE, 2, "float32")
    file.write(header(form, 0))
    frames = 0
    try:
        while True:
            piece = yield
            file.write(encode(piece, form.sample_format))
            frames += len(piece)
    finally:
        finish(file, form, frames)


def _flac(file: BinaryIO) -> Generator[None, np.ndarray, None]:
    """Takes pieces into a FLAC file."""
    import soundfile

    with soundfile.SoundFile(file, "w", SAMPLE_RATE, 2, "PCM_24", format="FLAC") as sound:
        while True:
            sound.write((yield))
