"""Does a theme return when its section does, and what does memory cost?

A piece in the form A B A is generated with and without recall, from the same seeds. For every bar
of the second A its chroma is compared with that of the bar in the same place of the first A (the
theme), and, as what chance gives, with the other bars of the first A.
"""

from __future__ import annotations

import time
from statistics import mean, median
from typing import TYPE_CHECKING

import numpy as np

from lmdm.live.controls import Controls
from lmdm.live.messages import SetPrompts, SetSection

if TYPE_CHECKING:
    from lmdm.checkpoints import Model

BPM, BEATS = 120.0, 4
BAR_SAMPLES = round(BEATS * 60.0 / BPM * 44100)
SECTIONS = (("A", "solo piano"), ("B", "string ensemble"), ("A", "solo piano"))
CHROMA_WINDOW = 8192


def measured(model: Model, seed: int, bars: int, recall: float) -> dict[str, float]:
    """One piece: likeness of the return to the theme and to chance, loops, and milliseconds."""
    from lmdm.live.session import Session

    session = Session(
        model, Controls(prompts=((SECTIONS[0][1], 1.0),), bpm=BPM, seed=seed, recall=recall)
    )
    for number, (section, prompt) in enumerate(SECTIONS):
        at = number * bars * BAR_SAMPLES
        session.apply(SetSection(section), at)
        session.apply(SetPrompts(((prompt, 1.0),)), at)
    pieces, times = [], []
    while session.emitted < len(SECTIONS) * bars * BAR_SAMPLES:
        begun = time.perf_counter()
        pieces.append(session.next_block().pcm)
        times.append(1000.0 * (time.perf_counter() - begun))
    sound = np.concatenate(pieces).mean(axis=1)
    chromas = [chroma(sound[n * BAR_SAMPLES : (n + 1) * BAR_SAMPLES]) for n in range(3 * bars)]
    first, back = chromas[:bars], chromas[2 * bars :]
    pairs = [(a, b, likeness(back[a], first[b])) for a in range(bars) for b in range(bars)]
    third = len(times) // 3
    return {
        "theme": mean(like for a, b, like in pairs if a == b),
        "chance": mean(like for a, b, like in pairs if a != b),
        "loops": mean(likeness(back[n], back[n + 1]) for n in range(bars - 1)),
        "block_ms": median(times),
        "early_ms": median(times[:third]),
        "late_ms": median(times[-third:]),
    }


def chroma(sound: np.ndarray) -> np.ndarray:
    """[12, n] energy of the pitch classes over a bar, frame by frame, of unit length each."""
    hop = CHROMA_WINDOW // 2
    starts = range(0, len(sound) - CHROMA_WINDOW, hop)
    windowed = np.stack([sound[s : s + CHROMA_WINDOW] for s in starts]) * np.hanning(CHROMA_WINDOW)
    power = np.square(np.abs(np.fft.rfft(windowed, axis=1)))
    lines = np.fft.rfftfreq(CHROMA_WINDOW, 1 / 44100)
    audible = (lines > 60.0) & (lines < 5000.0)
    pitch = np.round(69 + 12 * np.log2(lines[audible] / 440.0)).astype(int) % 12
    classes = np.stack([power[:, audible][:, pitch == each].sum(axis=1) for each in range(12)])
    classes = np.sqrt(classes)
    return np.asarray(classes / (np.linalg.norm(classes, axis=0) + 1e-9))


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """Mean cosine of two bars' chroma, moment by moment."""
    count = min(one.shape[1], other.shape[1])
    return float((one[:, :count] * other[:, :count]).sum(axis=0).mean())
