"""Keys, progressions and voicings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NOTE_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
MODES: dict[str, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
}
# Scale degrees (0 = tonic), one a bar.
PROGRESSIONS: dict[str, tuple[tuple[int, ...], ...]] = {
    "bright": (
        (0, 4, 5, 3),
        (0, 5, 3, 4),
        (3, 0, 4, 5),
        (0, 3, 0, 4),
        (0, 2, 3, 4),
        (0, 4, 5, 2, 3, 0, 3, 4),
        (0, 3, 1, 4),
        (5, 3, 0, 4),
    ),
    "dark": (
        (0, 5, 2, 6),
        (0, 3, 5, 4),
        (0, 6, 5, 6),
        (0, 5, 3, 4),
        (0, 2, 6, 3),
        (0, 3, 6, 2, 5, 1, 4, 0),
        (0, 0, 5, 6),
        (0, 4, 5, 3),
    ),
    "jazz": ((1, 4, 0, 5), (0, 5, 1, 4), (2, 5, 1, 4), (0, 3, 2, 5, 1, 4, 0, 0), (5, 1, 4, 0)),
    "still": ((0, 3), (0, 5), (0, 1), (0, 3, 5, 3), (0, 6)),
}


@dataclass(frozen=True)
class Key:
    """A tonic (pitch class) and a mode of `MODES`."""

    tonic: int
    mode: str

    @property
    def name(self) -> str:
        """For instance "F# dorian"."""
        return f"{NOTE_NAMES[self.tonic]} {self.mode}"

    @property
    def pitch_classes(self) -> frozenset[int]:
        """The seven pitch classes."""
        return frozenset((self.tonic + step) % 12 for step in MODES[self.mode])

    def pitch(self, degree: int, octave_root: int = 60) -> int:
        """The MIDI pitch of a scale degree (any integer); degree 0 is at `octave_root` + tonic."""
        octave, step = divmod(degree, 7)
        return octave_root + self.tonic + 12 * octave + MODES[self.mode][step]

    def nearest(self, pitch: int) -> int:
        """The scale pitch nearest to `pitch`."""
        return min(
            range(pitch - 2, pitch + 3),
            key=lambda p: (p % 12 not in self.pitch_classes, abs(p - pitch)),
        )


@dataclass(frozen=True)
class Chord:
    """A root pitch class and intervals above it in semitones (0 first)."""

    root: int
    intervals: tuple[int, ...]

    @property
    def pitch_classes(self) -> frozenset[int]:
        """The chord's pitch classes."""
        return frozenset((self.root + interval) % 12 for interval in self.intervals)


def degree_chord(key: Key, degree: int, size: int = 3) -> Chord:
    """The chord of stacked thirds on a degree: 3 notes a triad, 4 a seventh, 5 a ninth.

    The fifth degree of a minor key is given its leading note.
    """
    scale = MODES[key.mode]
    root = scale[degree % 7]
    pitches = [scale[(degree + 2 * i) % 7] + 12 * ((degree % 7 + 2 * i) // 7) for i in range(size)]
    intervals = [pitch - root for pitch in pitches]
    if key.mode == "minor" and degree % 7 == 4:
        intervals[1] = 4
    return Chord((key.tonic + root) % 12, tuple(intervals))


def random_key(
    generator: np.random.Generator, moods: tuple[str, ...] = ("major", "minor", "dorian")
) -> Key:
    """A key on any tonic in one of the modes named."""
    return Key(int(generator.integers(12)), str(generator.choice(moods)))


def progression(generator: np.random.Generator, key: Key, kind: str, size: int) -> list[Chord]:
    """A progression of `kind` ("auto" follows the mode) as chords of `size` notes, now and then
    with a suspended or enriched chord.
    """
    if kind == "auto":
        kind = "bright" if key.mode in ("major", "mixolydian", "lydian") else "dark"
    choices = PROGRESSIONS[kind]
    chords = []
    for degree in choices[int(generator.integers(len(choices)))]:
        chord = degree_chord(key, degree, size + int(generator.random() < 0.2))
        if size == 3 and generator.random() < 0.08:
            chord = Chord(chord.root, (0, 5 if generator.random() < 0.6 else 2, 7))
        chords.append(chord)
    return chords


def voicing(chord: Chord, previous: list[int] | None, centre: int) -> list[int]:
    """The chord's notes, close position, in the inversion that moves least from `previous`.

    centre: the MIDI pitch about which the first voicing lies. Ties lean to the centre.
    """
    classes = sorted(chord.pitch_classes)
    best: list[int] = []
    best_cost = float("inf")
    for turn in range(len(classes)):
        order = classes[turn:] + classes[:turn]
        for base in range(centre - 18, centre + 8):
            if base % 12 != order[0]:
                continue
            pitches = [base]
            for pitch_class in order[1:]:
                pitches.append(pitches[-1] + (pitch_class - pitches[-1]) % 12)
            cost = 0.3 * abs(float(np.mean(pitches)) - centre)
            if previous:
                cost += sum(min(abs(p - q) for q in previous) for p in pitches) / len(pitches)
            if cost < best_cost:
                best, best_cost = pitches, cost
    return best
