"""Random segments from folders of audio, decoded once into flat files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import soundfile
import soxr
from tqdm import tqdm

from lmdm.weights import write_beside
from training.data.track import audio_files

SAMPLE_RATE = 44100


HELD_OUT_SHARE = 0.04  # files whose name hashes below this are never trained on


class AudioPool:
    """Stereo 16-bit copies of every readable audio file below a folder, made once in `cache`.

    skipped: files that could not be read, and why. hours: of all others.
    """

    def __init__(self, folder: Path, cache: Path) -> None:
        cache.mkdir(parents=True, exist_ok=True)
        self.skipped: dict[Path, str] = {}
        self._arrays: dict[bool, list[np.ndarray]] = {False: [], True: []}  # held out or not
        for path in tqdm(audio_files(folder), desc="decode", unit="file", leave=False):
            try:
                self._arrays[is_held_out(path)].append(_decoded(path, cache))
            except (soundfile.LibsndfileError, ValueError, OSError) as error:
                self.skipped[path] = str(error)
        samples = sum(len(each) for side in self._arrays.values() for each in side)
        self.hours = samples / SAMPLE_RATE / 3600

    def arrays(self, held_out: bool) -> list[np.ndarray]:
        """The decoded files of one side of the split, int16 [samples, 2]."""
        return self._arrays[held_out]

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


def is_held_out(path: Path) -> bool:
    """Whether a file is never trained on: as its piece.json says, else by its name alone."""
    label = path.parent / "piece.json"
    if label.exists():
        return bool(json.loads(label.read_text())["split"] != "train")
    digest = hashlib.sha256(path.parent.name.encode() + path.stem.encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32 < HELD_OUT_SHARE


def _decoded(path: Path, cache: Path) -> np.ndarray:
    """The file as a memory-mapped int16 array [samples, 2]."""
    copy = cache / (hashlib.sha256(str(path).encode()).hexdigest()[:24] + ".i16")
    if not copy.exists():
        audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
        if len(audio) < rate // 2:
            raise ValueError("shorter than half a second")
        audio = np.repeat(audio, 2, axis=1) if audio.shape[1] == 1 else audio[:, :2]
        if rate != SAMPLE_RATE:
            audio = soxr.resample(audio, rate, SAMPLE_RATE)
        whole = (np.clip(audio, -1, 1) * 32767).round().astype("<i2")
        write_beside(copy, whole.tofile)
    return np.memmap(copy, dtype="<i2", mode="r").reshape(-1, 2)
