"""Opus as a yardstick: the same sound through libopus at a bit rate, by ffmpeg."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from lmdm.errors import InputError

SAMPLE_RATE = 44100
OPUS_RATE = 48000

Array = NDArray[np.float32]


def available() -> bool:
    """Whether an ffmpeg is on the path."""
    return shutil.which("ffmpeg") is not None


def round_trip(audio: Array, kilobits: float) -> tuple[Array, float]:
    """audio [S, 2] at 44.1 kHz -> what Opus at `kilobits` kbit/s makes of it, and the rate it took.

    Encoded with constrained variable bit rate at 48 kHz; the sound is as long as it was and in
    time (libopus' delay is removed by its own header). The rate returned is that of the file.

    Raises:
        InputError: ffmpeg is missing or has no libopus.
    """
    if not available():
        raise InputError("ffmpeg is not installed; install it to compare with Opus")
    with tempfile.TemporaryDirectory() as folder:
        source, coded, back = (Path(folder) / name for name in ("a.wav", "a.opus", "b.wav"))
        at_48k = soxr.resample(audio, SAMPLE_RATE, OPUS_RATE)
        soundfile.write(source, at_48k, OPUS_RATE, subtype="FLOAT")
        options = ["-c:a", "libopus", "-b:a", f"{kilobits}k", "-vbr", "constrained"]
        _ffmpeg(["-i", str(source), *options, str(coded)])
        _ffmpeg(["-i", str(coded), "-c:a", "pcm_f32le", "-ar", str(OPUS_RATE), str(back)])
        decoded, _ = soundfile.read(back, dtype="float32", always_2d=True)
        taken = coded.stat().st_size * 8 / 1000 / (len(audio) / SAMPLE_RATE)
    sound = soxr.resample(decoded, OPUS_RATE, SAMPLE_RATE).astype(np.float32)
    fitted = np.zeros_like(audio)
    length = min(len(audio), len(sound))
    fitted[:length] = sound[:length]
    return fitted, taken


def _ffmpeg(options: list[str]) -> None:
    command = ["ffmpeg", "-nostdin", "-v", "error", "-threads", "1", "-y", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise InputError(f"ffmpeg failed: {lines[-1]}")


def equal_rate(rates: list[float], distances: list[float], wanted: float) -> float:
    """The bit rate at which Opus has the distance `wanted`, by interpolation in log rate.

    Distances fall with the rate. Outside the measured range, the nearest measured rate.
    """
    order = np.argsort(distances)
    by_distance = np.array(distances)[order]
    log_rate = np.log(np.array(rates)[order])
    return float(np.exp(np.interp(wanted, by_distance, log_rate)))
