"""Random segments from folders of audio, decoded once into flat files."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
import soxr

SAMPLE_RATE = 44100
AUDIO_SUFFIXES = {".flac", ".wav", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif"}


@dataclass
class AudioPool:
    """Stereo 16-bit copies of every readable audio file below some folders.

    Threads: `segments` reads ahead in one background thread; other methods run in the caller's.
    """

    folders: list[Path]
    cache: Path
    held_out_share: float = 0.04  # files whose name hashes below this are never trained on
    skipped: dict[Path, str] = field(default_factory=dict)
    _arrays: dict[Path, np.ndarray] = field(default_factory=dict)
    _held_out: set[Path] = field(default_factory=set)

    def refresh(self, limit: int = 10**9) -> int:
        """Decode files that are new since the last call (at most `limit`); returns how many."""
        self.cache.mkdir(parents=True, exist_ok=True)
        found = 0
        for folder in self.folders:
            for path in sorted(folder.rglob("*")):
                if path.suffix.lower() not in AUDIO_SUFFIXES or path in self._arrays:
                    continue
                if path in self.skipped or found >= limit:
                    continue
                try:
                    self._arrays[path] = self._decoded(path)
                    if self.held_out(path):
                        self._held_out.add(path)
                    found += 1
                except (soundfile.LibsndfileError, ValueError, OSError) as error:
                    self.skipped[path] = str(error)
        return found

    def _decoded(self, path: Path) -> np.ndarray:
        """The file as a memory-mapped int16 array [samples, 2]."""
        name = hashlib.sha256(str(path).encode()).hexdigest()[:24] + ".i16"
        copy = self.cache / name
        if not copy.exists():
            audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
            if len(audio) < rate // 2:
                raise ValueError("shorter than half a second")
            audio = np.repeat(audio, 2, axis=1) if audio.shape[1] == 1 else audio[:, :2]
            if rate != SAMPLE_RATE:
                audio = soxr.resample(audio, rate, SAMPLE_RATE)
            beside = copy.with_suffix(".part")
            (np.clip(audio, -1, 1) * 32767).round().astype("<i2").tofile(beside)
            os.replace(beside, copy)
        return np.memmap(copy, dtype="<i2", mode="r").reshape(-1, 2)

    def held_out(self, path: Path) -> bool:
        """Whether a file is never trained on: as its piece.json says, else by its name alone."""
        label = path.parent / "piece.json"
        if label.exists():
            return bool(json.loads(label.read_text())["split"] != "train")
        digest = hashlib.sha256(path.parent.name.encode() + path.stem.encode()).digest()
        return int.from_bytes(digest[:4], "big") / 2**32 < self.held_out_share

    def arrays(self, held_out: bool) -> list[np.ndarray]:
        """The decoded files of one side of the split."""
        return [a for path, a in self._arrays.items() if (path in self._held_out) == held_out]

    @property
    def hours(self) -> float:
        """Decoded audio in hours, both sides of the split."""
        return sum(len(a) for a in self._arrays.values()) / SAMPLE_RATE / 3600

    def batch(
        self, generator: np.random.Generator, count: int, samples: int, held_out: bool = False
    ) -> np.ndarray:
        """`count` random segments at random levels: float32 [count, 2, samples]."""
        arrays = self.arrays(held_out)
        lengths = np.array([len(a) for a in arrays], dtype=np.float64)
        # The square root lets short one-shots and short files be heard among long tracks.
        chosen = generator.choice(
            len(arrays), size=count, p=np.sqrt(lengths) / np.sqrt(lengths).sum()
        )
        out = np.zeros((count, 2, samples), dtype=np.float32)
        for row, index in enumerate(chosen):
            source = arrays[index]
            start = int(generator.integers(0, max(1, len(source) - samples)))
            piece = source[start : start + samples].astype(np.float32).T / 32767
            gain = 10 ** (generator.uniform(-9, 3) / 20)
            peak = float(np.abs(piece).max()) if piece.size else 0.0
            out[row, :, : piece.shape[1]] = piece * min(gain, 1.0 / max(peak, 1e-4))
            if generator.random() < 0.5:
                out[row] = out[row, ::-1]
        return out

    def segments(self, seed: int, count: int, samples: int) -> Iterator[np.ndarray]:
        """Endless training batches, one prepared ahead."""
        generator = np.random.default_rng(seed)
        with ThreadPoolExecutor(1) as ahead:
            pending = ahead.submit(self.batch, generator, count, samples)
            while True:
                ready = pending.result()
                pending = ahead.submit(self.batch, generator, count, samples)
                yield ready
