"""What each player does with the harmony: drums, bass, chords, arpeggios, melodies.

Times are beats, pitches MIDI. Every function adds notes to a `Part` between two bars.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.recipes.starter.harmony import Chord, Key, voicing
from training.recipes.starter.score import Part

KICK, SNARE, STICK, CLAP = 36, 38, 37, 39
CLOSED_HAT, PEDAL_HAT, OPEN_HAT, RIDE, CRASH = 42, 44, 46, 51, 49
LOW_TOM, MIDDLE_TOM, HIGH_TOM, SHAKER, TAMBOURINE = 45, 47, 50, 70, 54

# Sixteen steps a bar of four beats: x loud, o middle, . soft, - silent.
GROOVES: dict[str, tuple[dict[int, str], ...]] = {
    "house": (
        {
            KICK: "x---x---x---x---",
            CLAP: "----x-------x---",
            OPEN_HAT: "--o---o---o---o-",
            CLOSED_HAT: "o.-.o.-.o.-.o.-.",
        },
        {KICK: "x---x---x---x-o-", SNARE: "----x-------x---", CLOSED_HAT: "..o...o...o...o."},
        {KICK: "x---x---x---x---", CLAP: "----x-------x--.", SHAKER: "o.o.o.o.o.o.o.o."},
    ),
    "rock": (
        {KICK: "x-----o-x-------", SNARE: "----x-------x---", CLOSED_HAT: "x-o-x-o-x-o-x-o-"},
        {KICK: "x--o----x-o-----", SNARE: "----x-------x-.-", CLOSED_HAT: "o-o-o-o-o-o-o-o-"},
        {KICK: "x-------x-x-----", SNARE: "----x-------x---", RIDE: "x-o-x-o-x-o-x-o-"},
    ),
    "break": (
        {KICK: "x-x-------x-----", SNARE: "----x--.-.--x--.", CLOSED_HAT: "x-o-x-o-x-o-x-o-"},
        {KICK: "x--x------xx----", SNARE: "----x--o-o--x---", CLOSED_HAT: "o-o-o-o-o-o-o-o-"},
        {KICK: "x-----x---x-----", SNARE: "----x--.-.-.--x-", RIDE: "x-o-x-o-x-o-x-o-"},
    ),
    "jazz": (
        {RIDE: "x---x-o-x---x-o-", PEDAL_HAT: "----o-------o---", SNARE: "-------.------.-"},
        {RIDE: "x---x-o-x---x-o-", PEDAL_HAT: "----o-------o---", KICK: "x---.---.---.---"},
    ),
    "soft": (
        {KICK: "o-------o-------", STICK: "----o-------o---", CLOSED_HAT: ".-.-.-.-.-.-.-.-"},
        {KICK: "o---------o-----", STICK: "--------o-------", SHAKER: "o.-.o.-.o.-.o.-."},
        {TAMBOURINE: "----o-------o---", KICK: "o-------o-------"},
    ),
    "chip": (
        {KICK: "x---x---x---x---", SNARE: "----x-------x-o-", CLOSED_HAT: "o-o-o-o-o-o-o-o-"},
        {KICK: "x-----x-x-------", SNARE: "----x-------x---", CLOSED_HAT: "xoxoxoxoxoxoxoxo"},
    ),
}
LOUDNESS = {"x": 108, "o": 84, ".": 52}


@dataclass(frozen=True)
class Bars:
    """A stretch of the piece: bars `first` to `last` (excluded), each with one chord.

    energy 0–1 scales velocity and density.
    """

    first: int
    last: int
    beats: int
    chords: tuple[Chord, ...]
    energy: float

    def chord(self, bar: int) -> Chord:
        """The chord of bar `bar`."""
        return self.chords[(bar - self.first) % len(self.chords)]

    def start(self, bar: int) -> float:
        """The bar's first beat."""
        return float(bar * self.beats)


def drums(
    part: Part, bars: Bars, groove: dict[int, str], generator: np.random.Generator, fill: bool
) -> None:
    """A groove, a crash on the first bar of energetic stretches and a fill in the last bar."""
    steps = bars.beats * 4
    for bar in range(bars.first, bars.last):
        filling = fill and bar == bars.last - 1
        cut = steps - int(generator.choice([4, 8])) if filling else steps
        for drum, pattern in groove.items():
            for step in range(cut):
                mark = pattern[step % 16]
                if mark == "-" or (mark == "." and generator.random() < 0.25):
                    continue
                velocity = LOUDNESS[mark] * (0.72 + 0.28 * bars.energy)
                part.add(bars.start(bar) + step / 4, 0.2, drum, velocity)
        if filling:
            toms = [SNARE, HIGH_TOM, MIDDLE_TOM, LOW_TOM]
            for step in range(cut, steps):
                if generator.random() < 0.8:
                    drum = toms[min(3, (step - cut) * 4 // (steps - cut))]
                    part.add(bars.start(bar) + step / 4, 0.2, drum, 70 + 40 * (step - cut) / 8)
    if bars.energy > 0.6:
        part.add(bars.start(bars.first), 1.0, CRASH, 96)


def bass(part: Part, bars: Bars, manner: str, generator: np.random.Generator) -> None:
    """A bass line: "roots" held, "eighths", "offbeat", "octaves", "fifths", or "walking"."""
    velocity = 78 + 26 * bars.energy
    for bar in range(bars.first, bars.last):
        chord, start = bars.chord(bar), bars.start(bar)
        root = 28 + (chord.root - 28) % 12
        fifth = root + next((i for i in chord.intervals if i in (6, 7, 8)), 7)
        if manner == "roots":
            part.add(start, bars.beats * 0.97, root, velocity)
        elif manner == "fifths":
            part.add(start, bars.beats / 2 * 0.9, root, velocity)
            part.add(start + bars.beats / 2, bars.beats / 2 * 0.9, fifth, velocity - 6)
        elif manner == "walking":
            following = bars.chord(bar + 1) if bar + 1 < bars.last else bars.chord(bars.first)
            goal = 28 + (following.root - 28) % 12
            tones = sorted(root + interval for interval in chord.intervals)
            line = [root] + [int(generator.choice(tones)) for _ in range(bars.beats - 2)]
            line.append(goal + int(generator.choice([-1, 1, 7])))
            for beat, pitch in enumerate(line):
                part.add(start + beat, 0.92, pitch, velocity + (4 if beat % 2 else 0))
        else:
            for eighth in range(bars.beats * 2):
                if manner == "offbeat" and eighth % 2 == 0:
                    continue
                high = manner == "octaves" and eighth % 2 == 1
                pitch = root + 12 if high else root
                if manner == "eighths" and generator.random() < 0.08:
                    pitch = fifth
                part.add(start + eighth / 2, 0.42, pitch, velocity - (8 if high else 0))


def comping(
    part: Part,
    bars: Bars,
    rhythm: tuple[float, ...],
    centre: int,
    velocity: float,
    generator: np.random.Generator,
    *,
    rolled: float = 0.0,
    legato: bool = False,
    previous: list[int] | None = None,
) -> list[int]:
    """Voice-led chords struck at the offsets of `rhythm` (beats in the bar).

    rolled: beats between the notes of a chord, from the bottom. Returns the last voicing.
    """
    held = previous
    for bar in range(bars.first, bars.last):
        held = voicing(bars.chord(bar), held, centre)
        for index, offset in enumerate(rhythm):
            if offset >= bars.beats:
                continue
            end = min(rhythm[index + 1] if index + 1 < len(rhythm) else bars.beats, bars.beats)
            length = (end - offset) * (1.0 if legato else float(generator.uniform(0.45, 0.95)))
            loud = velocity + generator.normal(0, 4)
            for order, pitch in enumerate(held):
                shift = order * rolled
                part.add(bars.start(bar) + offset + shift, max(0.1, length - shift), pitch, loud)
    return held or []


def arpeggio(
    part: Part,
    bars: Bars,
    step: float,
    centre: int,
    velocity: float,
    generator: np.random.Generator,
    *,
    pedal: bool,
    span: int = 6,
) -> None:
    """Broken chords in steps of `step` beats; one figure is kept through the stretch.

    pedal: every note rings to the end of its bar, as under a sustain pedal.
    """
    figures = (
        list(range(span)),
        list(range(span - 1, -1, -1)),
        list(range(span)) + list(range(span - 2, 0, -1)),
        [0, 2, 1, 2],
        [0, 2, 4, 2, 3, 2],
        [int(i) for i in generator.integers(0, span, 8)],
    )
    figure = figures[int(generator.integers(len(figures)))]
    held: list[int] | None = None
    for bar in range(bars.first, bars.last):
        held = voicing(bars.chord(bar), held, centre)
        count = round(bars.beats / step)
        for index in range(count):
            tone = figure[index % len(figure)]
            pitch = held[tone % len(held)] + 12 * (tone // len(held))
            length = bars.beats - index * step if pedal else step * 0.9
            accent = 8 if index % max(1, round(1 / step)) == 0 else 0
            part.add(bars.start(bar) + index * step, length, pitch, velocity + accent)


Motif = tuple[tuple[float, float, int], ...]


def motif(generator: np.random.Generator, beats: int, density: float) -> Motif:
    """Two bars of rhythm and contour: (offset, length, scale steps from the last note).

    density 0–1: from long notes to running eighths.
    """
    units = [0.5, 1.0, 1.5, 2.0, 3.0]
    weights = np.asarray([density, 0.6, 0.3, 0.9 - 0.6 * density, 0.6 - 0.6 * density])
    weights = np.clip(weights, 0.02, None)
    notes: list[tuple[float, float, int]] = []
    at = float(generator.choice([0.0, 0.0, 0.5, 1.0]))
    while at < 2 * beats - 0.5:
        length = min(float(generator.choice(units, p=weights / weights.sum())), 2 * beats - at)
        if generator.random() < 0.85:
            step = int(np.clip(round(generator.normal(0, 1.7)), -4, 5))
            notes.append((at, length, step))
        at += length
    return tuple(notes) or ((0.0, 2.0, 0),)


def melody(
    part: Part,
    bars: Bars,
    key: Key,
    theme: Motif,
    register: int,
    velocity: float,
    generator: np.random.Generator,
) -> None:
    """The motif every two bars, fitted to the chords on the beat and varied now and then."""
    for bar in range(bars.first, bars.last, 2):
        pitch = key.nearest(register + int(generator.integers(-3, 4)))
        for offset, length, step in theme:
            here = bar + int(offset // bars.beats)
            if here >= bars.last or generator.random() < 0.06:
                continue
            if generator.random() < 0.12:
                step += int(generator.integers(-1, 2))
            pitch = key.nearest(pitch + round(step * 1.7))
            if pitch > register + 11:
                pitch -= 12
            if pitch < register - 11:
                pitch += 12
            if offset % 1 == 0:
                tones = bars.chord(here).pitch_classes
                pitch = min(
                    range(pitch - 3, pitch + 4), key=lambda p: (p % 12 not in tones, abs(p - pitch))
                )
            accent = 7 if offset % 2 == 0 else 0
            part.add(bar * bars.beats + offset, length * 0.93, pitch, velocity + accent)
