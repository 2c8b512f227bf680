"""Small folders of music in the published layouts, made of sines; and a tiny encoded set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 44100
Write = Callable[..., Path]


def tone(seconds: float, pitch: float = 220.0, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """A stereo sine with some noise [S, 2]."""
    time = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(seed).normal(0, 0.01, (len(time), 2))
    sine = 0.2 * np.sin(2 * np.pi * pitch * time)
    return (sine[:, None] * (1.0, 0.7) + noise).astype(np.float32)


def write_tone(path: Path, seconds: float = 3.0, pitch: float = 220.0, rate: int = RATE) -> Path:
    """A file of it, in the format of its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone(seconds, pitch, rate, seed=round(pitch)), rate)
    return path


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """A plain folder: four formats, one mono at 22 kHz, one broken, one too short."""
    root = tmp_path / "music"
    write_tone(root / "one.wav", 4.0)
    write_tone(root / "album/two.flac", 3.5, 330.0)
    write_tone(root / "album/three.ogg", 3.2, 440.0)
    write_tone(root / "album/four.mp3", 3.0, 550.0)
    soundfile.write(root / "mono.wav", tone(3.0, rate=22050)[:, 0], 22050)
    (root / "one.txt").write_text("a low sine\nsine tone\n")
    (root / "broken.wav").write_bytes(b"RIFF and then nothing of the kind")
    write_tone(root / "blip.wav", 0.2)
    return root


@pytest.fixture(scope="session")
def tiny_latents(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five encoded pieces of ten seconds: train, validation and test."""
    import json

    from training.data.encode import Encoding, encode

    root = tmp_path_factory.mktemp("tiny") / "music"
    for index in range(5):
        path = write_tone(root / f"piece{index}.wav", 10.0, 110.0 * (index + 1))
        split = ("train", "train", "train", "validation", "test")[index]
        facts = {"split": split, "captions": [f"tone {index}", "a sine"], "licence": "CC0-1.0"}
        path.with_suffix(".json").write_text(json.dumps(facts))
    out = root.parent / "latents"
    encode(root, out, Encoding(model=str(tiny_model), shard_pieces=2))
    return out
