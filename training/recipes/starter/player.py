"""Pieces as a person improvises at a keyboard: one instrument, any notes, maybe a beat beneath."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training.recipes.starter import parts as play
from training.recipes.starter.captions import describe_player
from training.recipes.starter.harmony import Chord, Key, degree_chord, random_key, voicing
from training.recipes.starter.palette import INSTRUMENTS, Instrument
from training.recipes.starter.parts import GROOVES, Bars
from training.recipes.starter.score import Part, Score, heard_chords

Generator = np.random.Generator
LOWEST, HIGHEST = 30, 98
# Twice-named instruments are those a user most often asks for.
PLAYED = (
    "grand piano",
    "grand piano",
    "electric piano",
    "electric piano",
    "drawbar organ",
    "church organ",
    "nylon guitar",
    "steel guitar",
    "clean electric guitar",
    "vibraphone",
    "marimba",
    "celesta",
    "square lead",
    "saw lead",
    "saw lead",
    "flute",
    "string section",
    "string section",
    "warm pad",
    "warm pad",
    "harp",
    "choir",
    "violin",
    "cello",
    "trumpet",
    "tenor saxophone",
    "synth bass",
    "pizzicato strings",
)
CHORD_SHAPES = (
    (0, 4, 7),
    (0, 3, 7),
    (0, 4, 7, 11),
    (0, 3, 7, 10),
    (0, 4, 7, 10),
    (0, 5, 7),
    (0, 3, 6),
    (0, 4, 8),
    (0, 2, 7),
    (0, 7, 12),
    (0, 3, 6, 9),
    (0, 4, 7, 14),
)


class Hand:
    """What the player has to hand: the part, the key, and the range of the instrument."""

    def __init__(self, part: Part, key: Key, generator: Generator) -> None:
        self.part, self.key, self.generator = part, key, generator
        self.low = max(LOWEST, part.instrument.low)
        self.high = min(HIGHEST, part.instrument.high)
        self.loudness = float(generator.uniform(50, 100))

    def pitch(self) -> int:
        """Any pitch of the range, more often from its middle."""
        if self.generator.random() < 0.4:
            return int(self.generator.integers(self.low, self.high + 1))
        middle = (self.low + self.high) / 2
        return int(np.clip(self.generator.normal(middle, 9), self.low, self.high))

    def velocity(self) -> float:
        """About the hand's own loudness, 12 either way."""
        return float(np.clip(self.loudness + self.generator.normal(0, 12), 20, 125))

    def strike(self, start: float, length: float, pitches: list[int]) -> None:
        """Pitches together, kept inside the range without folding onto one another."""
        loud = self.velocity()
        for pitch in sorted({p for p in pitches if self.low <= p <= self.high}):
            self.part.add(start, length, pitch, loud + self.generator.normal(0, 3))


def scales(hand: Hand, start: float, end: float) -> None:
    """Runs up and down a scale of the key or the chromatic scale."""
    generator = hand.generator
    step = float(generator.choice([0.25, 0.5, 0.5, 1.0]))
    stride = int(generator.choice([1, 1, 1, 2]))
    chromatic = generator.random() < 0.3
    ladder = [
        p for p in range(hand.low, hand.high + 1) if chromatic or p % 12 in hand.key.pitch_classes
    ]
    place = int(generator.integers(len(ladder)))
    direction = int(generator.choice([-1, 1]))
    at = start
    while at < end - 0.01:
        hand.part.add(
            at, step * float(generator.choice([0.5, 0.9, 0.98])), ladder[place], hand.velocity()
        )
        if not 0 <= place + direction * stride < len(ladder) or generator.random() < 0.06:
            direction = -direction
        place = int(np.clip(place + direction * stride, 0, len(ladder) - 1))
        at += step


def held_chords(hand: Hand, start: float, end: float) -> None:
    """Chords of the key, led by voice, held until the next."""
    held: list[int] | None = None
    at = start
    centre = int(
        np.clip(hand.generator.normal(60, 6), hand.low + 10, max(hand.low + 10, hand.high - 10))
    )
    while at < end - 0.01:
        length = min(float(hand.generator.choice([2.0, 4.0, 4.0, 8.0])), end - at)
        chord = degree_chord(
            hand.key, int(hand.generator.integers(7)), int(hand.generator.choice([3, 3, 4]))
        )
        held = voicing(chord, held, centre)
        hand.strike(at, length * float(hand.generator.choice([0.7, 0.98])), held)
        at += length


def block_chords(hand: Hand, start: float, end: float) -> None:
    """Short chords in a repeated rhythm."""
    generator = hand.generator
    step = float(generator.choice([0.5, 1.0, 1.0, 2.0]))
    at, chord = start, degree_chord(hand.key, 0)
    held = voicing(chord, None, int(generator.integers(50, 70)))
    count = 0
    while at < end - 0.01:
        if count % 4 == 0:
            held = voicing(
                degree_chord(hand.key, int(generator.integers(7))), held, int(np.mean(held))
            )
        if generator.random() < 0.85:
            hand.strike(at, step * float(generator.choice([0.3, 0.6, 0.9])), held)
        at += step
        count += 1


def random_chords(hand: Hand, start: float, end: float) -> None:
    """Chords that have nothing to do with one another, on any root."""
    generator = hand.generator
    at = start
    while at < end - 0.01:
        length = min(float(generator.choice([0.5, 1.0, 2.0, 3.0, 4.0])), end - at)
        shape = CHORD_SHAPES[int(generator.integers(len(CHORD_SHAPES)))]
        root = int(np.clip(hand.pitch(), hand.low, hand.high - 14))
        spread = [root + interval + (12 if generator.random() < 0.15 else 0) for interval in shape]
        hand.strike(at, length * float(generator.uniform(0.4, 1.0)), spread)
        at += length


def sparse_notes(hand: Hand, start: float, end: float) -> None:
    """Single notes with silences between."""
    at = start
    while at < end - 0.01:
        length = float(hand.generator.choice([0.25, 0.5, 1.0, 1.0, 2.0]))
        hand.part.add(at, min(length, end - at), hand.pitch(), hand.velocity())
        at += length + float(hand.generator.choice([0.0, 0.5, 1.0, 2.0]))


def long_notes(hand: Hand, start: float, end: float) -> None:
    """One to three notes at a time, each held long and freely overlapping."""
    for _ in range(int(hand.generator.integers(1, 4))):
        at = start + float(hand.generator.choice([0.0, 0.0, 1.0, 2.5]))
        while at < end - 0.5:
            length = min(float(hand.generator.choice([3.0, 4.0, 6.0, 8.0])), end - at)
            hand.part.add(at, length, hand.pitch(), hand.velocity())
            at += length + float(hand.generator.choice([0.0, 0.0, 0.5, 2.0]))


def wandering(hand: Hand, start: float, end: float) -> None:
    """A chromatic line by small and sometimes wide steps in uneven rhythm."""
    generator = hand.generator
    pitch, at = hand.pitch(), start
    while at < end - 0.01:
        length = min(float(generator.choice([0.25, 0.5, 0.5, 0.75, 1.0, 1.5])), end - at)
        pitch += round(generator.normal(0, 3))
        if not hand.low <= pitch <= hand.high or generator.random() < 0.06:
            pitch = hand.pitch()
        hand.part.add(at, length * float(generator.uniform(0.4, 1.05)), pitch, hand.velocity())
        at += length


def tune_and_chords(hand: Hand, start: float, end: float) -> None:
    """Left-hand chords and a right-hand tune in the key."""
    held: list[int] | None = None
    chords = [degree_chord(hand.key, int(hand.generator.integers(7))) for _ in range(4)]
    theme = play.motif(hand.generator, 4, float(hand.generator.uniform(0.2, 1.0)))
    first, last = int(np.ceil(start / 4)), int(end // 4)
    if last <= first:
        sparse_notes(hand, start, end)
        return
    bars = Bars(first, last, 4, tuple(chords), 0.6)
    for bar in range(first, last):
        held = voicing(bars.chord(bar), held, 54)
        hand.strike(bars.start(bar), 3.9, held)
    play.melody(hand.part, bars, hand.key, theme, 72, hand.loudness + 8, hand.generator)


MANNERS: dict[str, Callable[[Hand, float, float], None]] = {
    "scales": scales,
    "held chords": held_chords,
    "block chords": block_chords,
    "random chord changes": random_chords,
    "sparse single notes": sparse_notes,
    "long sustained notes": long_notes,
    "a wandering line": wandering,
    "a tune over chords": tune_and_chords,
}


def played(generator: Generator) -> Score:
    """A piece of 45–70 s by one instrument, with drums in a quarter and bass in some of these."""
    instrument: Instrument = INSTRUMENTS[PLAYED[int(generator.integers(len(PLAYED)))]]
    bpm = float(round(generator.uniform(60, 150)))
    key = random_key(generator, ("major", "minor", "dorian", "mixolydian", "phrygian", "lydian"))
    total = 4.0 * max(4, round(float(generator.uniform(44, 66)) * bpm / 60 / 4))
    part = Part(instrument)
    hand = Hand(part, key, generator)
    manners: list[str] = []
    at = 0.0
    names = list(MANNERS)
    while at < total:
        end = min(total, at + 4.0 * int(generator.integers(2, 7)))
        manner = names[int(generator.integers(len(names)))]
        MANNERS[manner](hand, at, end)
        hand.loudness = float(generator.uniform(45, 110))
        manners.append(manner)
        at = end
    others: list[Part] = []
    if generator.random() < 0.28:
        kit = str(
            generator.choice(
                ["standard drum kit", "power drum kit", "808 drum machine", "brush kit"]
            )
        )
        kind = str(generator.choice(list(GROOVES)))
        groove = GROOVES[kind][int(generator.integers(len(GROOVES[kind])))]
        drums = Part(INSTRUMENTS[kit], -2.0)
        bars = Bars(0, int(total // 4), 4, (Chord(key.tonic, (0, 7)),), 0.7)
        play.drums(drums, bars, groove, generator, fill=True)
        others.append(drums)
        if generator.random() < 0.4 and instrument.family != "bass":
            bass = Part(INSTRUMENTS["fingered bass"], -2.0)
            play.bass(bass, bars, str(generator.choice(["roots", "eighths", "fifths"])), generator)
            others.append(bass)
    common = sorted(set(manners), key=manners.count, reverse=True)[:2]
    return Score(
        style="player",
        bpm=bpm,
        key=key.name,
        beats_per_bar=4,
        parts=[part, *others],
        chords=heard_chords([part], total),
        captions=describe_player(
            instrument, common, [o.instrument for o in others], bpm, generator
        ),
        looseness=float(generator.uniform(0.5, 1.8)),
    )
