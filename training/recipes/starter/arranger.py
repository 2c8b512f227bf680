"""Whole pieces in ten styles: form, harmony and who plays what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from training.recipes.starter import parts as play
from training.recipes.starter.captions import describe
from training.recipes.starter.harmony import Chord, Key, progression, random_key
from training.recipes.starter.palette import INSTRUMENTS
from training.recipes.starter.parts import GROOVES, Bars, Motif, motif
from training.recipes.starter.score import ChordSpan, Part, Score

Generator = np.random.Generator
# (section, energy): the form is repeated or cut to the length wanted.
FORM = (("intro", 0.35), ("verse", 0.6), ("chorus", 0.95), ("verse", 0.65), ("chorus", 1.0), ("outro", 0.3))
SHORT_FORM = (("intro", 0.35), ("verse", 0.6), ("chorus", 0.95), ("outro", 0.3))


@dataclass(frozen=True)
class Style:
    """The ranges a style draws from. `size` is the number of notes in a chord."""

    name: str
    bpm: tuple[float, float]
    modes: tuple[str, ...]
    kind: str
    size: int
    swing: tuple[float, float]
    arrange: Callable[[Band], None]


class Band:
    """A piece being arranged: its sections, themes and parts."""

    def __init__(self, style: Style, generator: Generator) -> None:
        self.generator = generator
        self.style = style
        self.bpm = float(round(generator.uniform(*style.bpm)))
        self.key: Key = random_key(generator, style.modes)
        waltz = style.name in ("ballad", "solo piano", "guitar folk", "string ensemble")
        self.beats = 3 if waltz and generator.random() < 0.25 else 4
        self.sections = self._sections()
        self.theme: Motif = motif(generator, self.beats, float(generator.uniform(0.2, 0.9)))
        self.hook: Motif = motif(generator, self.beats, float(generator.uniform(0.3, 1.0)))
        self.parts: list[Part] = []

    def _sections(self) -> list[tuple[str, Bars]]:
        generator, style = self.generator, self.style
        wanted = float(generator.uniform(45.0, 68.0))
        total = max(8, int(wanted * self.bpm / 60 / self.beats))
        form = FORM if total >= 28 else SHORT_FORM
        verse = progression(generator, self.key, style.kind, style.size)
        chorus = progression(generator, self.key, style.kind, style.size)
        share = total / len(form)
        sections, first = [], 0
        for index, (name, energy) in enumerate(form):
            last = total if index == len(form) - 1 else max(first + 2, 2 * round(share * (index + 1) / 2))
            chords = chorus if name == "chorus" else verse
            if last > first:
                sections.append((name, Bars(first, last, self.beats, tuple(chords), energy)))
            first = last
        return sections

    def part(self, name: str, level_db: float = 0.0) -> Part:
        """A new part for the instrument called `name`."""
        part = Part(INSTRUMENTS[name], level_db)
        self.parts.append(part)
        return part

    def choose(self, *names: str) -> str:
        """One of the names, at random."""
        return str(self.generator.choice(names))

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return bool(self.generator.random() < probability)

    def groove(self, kind: str) -> dict[int, str]:
        """One of the grooves of a kind."""
        return GROOVES[kind][int(self.generator.integers(len(GROOVES[kind])))]

    def add_drums(self, kit: str, kind: str, level_db: float = 0.0, quietest: float = 0.5) -> None:
        """Drums in every section at least as energetic as `quietest`."""
        part, groove = self.part(kit, level_db), self.groove(kind)
        for name, bars in self.sections:
            if bars.energy >= quietest:
                play.drums(part, bars, groove, self.generator, fill=name in ("verse", "chorus"))

    def add_bass(self, name: str, manner: str, level_db: float = 0.0, quietest: float = 0.4) -> None:
        """A bass line in every section at least as energetic as `quietest`."""
        part = self.part(name, level_db)
        for _, bars in self.sections:
            if bars.energy >= quietest:
                play.bass(part, bars, manner, self.generator)

    def add_pad(self, name: str, level_db: float, centre: int = 60) -> None:
        """Held chords throughout."""
        part = self.part(name, level_db)
        held: list[int] | None = None
        for _, bars in self.sections:
            held = play.comping(part, bars, (0.0,), centre, 60 + 25 * bars.energy, self.generator,
                                legato=True, previous=held)

    def add_comping(self, name: str, rhythms: tuple[tuple[float, ...], ...], level_db: float,
                    centre: int = 60, rolled: float = 0.0) -> None:
        """Struck chords throughout, one rhythm a section."""
        part = self.part(name, level_db)
        held: list[int] | None = None
        for _, bars in self.sections:
            rhythm = rhythms[int(self.generator.integers(len(rhythms)))]
            held = play.comping(part, bars, rhythm, centre, 58 + 34 * bars.energy, self.generator,
                                rolled=rolled, previous=held)

    def add_arpeggio(self, name: str, step: float, level_db: float, centre: int = 62, *,
                     pedal: bool = False, quietest: float = 0.0) -> None:
        """Broken chords in every section at least as energetic as `quietest`."""
        part = self.part(name, level_db)
        for _, bars in self.sections:
            if bars.energy >= quietest:
                play.arpeggio(part, bars, step, centre, 56 + 34 * bars.energy, self.generator,
                              pedal=pedal, span=int(self.generator.integers(3, 8)))

    def add_melody(self, name: str, register: int, level_db: float, quietest: float = 0.5) -> None:
        """The theme in verses and the hook in choruses."""
        part = self.part(name, level_db)
        for section, bars in self.sections:
            if bars.energy >= quietest:
                theme = self.hook if section == "chorus" else self.theme
                play.melody(part, bars, self.key, theme, register, 74 + 26 * bars.energy, self.generator)

    def score(self) -> Score:
        """The finished score; parts that never played are left out."""
        heard = [part for part in self.parts if part.notes]
        spans = []
        for _, bars in self.sections:
            for bar in range(bars.first, bars.last):
                chord: Chord = bars.chord(bar)
                spans.append(ChordSpan(bars.start(bar), bars.start(bar + 1), chord.pitch_classes))
        names = [part.instrument for part in heard]
        return Score(
            style=self.style.name, bpm=self.bpm, key=self.key.name, beats_per_bar=self.beats,
            parts=heard, chords=spans,
            captions=describe(self.style.name, names, self.bpm, self.key.name, self.generator),
            swing=float(self.generator.uniform(*self.style.swing)),
            looseness=0.3 if self.style.name in ("four-on-the-floor", "chiptune") else 1.0,
        )


def _house(band: Band) -> None:
    band.add_drums(band.choose("power drum kit", "808 drum machine"), "house", 2.0)
    band.add_bass("synth bass", band.choose("offbeat", "octaves", "eighths"), 0.0)
    band.add_pad(band.choose("warm pad", "string section"), -6.0)
    if band.chance(0.6):
        band.add_comping(band.choose("grand piano", "saw lead", "electric piano"),
                         ((0.0, 0.75, 1.5, 2.5, 3.25), (0.5, 1.5, 2.5, 3.5)), -3.0, 66)
    else:
        band.add_arpeggio(band.choose("saw lead", "square lead"), 0.25, -5.0, quietest=0.5)
    band.add_melody(band.choose("saw lead", "square lead", "flute"), 74, -2.0, 0.62)


def _ambient(band: Band) -> None:
    band.add_pad(band.choose("warm pad", "string section", "choir"), 0.0, 58)
    band.add_arpeggio(band.choose("electric piano", "harp", "vibraphone", "celesta", "nylon guitar"),
                      float(band.generator.choice([0.5, 1.0, 1.0, 2.0])), -4.0, 70, pedal=True)
    if band.chance(0.5):
        band.add_bass(band.choose("synth bass", "acoustic bass"), "roots", -3.0)
    if band.chance(0.5):
        band.add_melody(band.choose("flute", "cello", "grand piano", "choir"), 70, -4.0)


def _ballad(band: Band) -> None:
    band.add_arpeggio(band.choose("grand piano", "electric piano", "nylon guitar"), 0.5, 0.0, 58, pedal=True)
    band.add_bass(band.choose("acoustic bass", "fingered bass"), band.choose("roots", "fifths"), -2.0)
    band.add_drums(band.choose("standard drum kit", "brush kit"), "soft", -5.0, 0.6)
    if band.chance(0.6):
        band.add_pad(band.choose("string section", "warm pad"), -7.0)
    band.add_melody(band.choose("tenor saxophone", "flute", "violin", "trumpet", "cello"), 69, 0.0)


def _jazz(band: Band) -> None:
    band.add_bass("acoustic bass", "walking", 0.0, 0.0)
    band.add_drums("brush kit", "jazz", -2.0, 0.0)
    band.add_comping(band.choose("grand piano", "electric piano", "clean electric guitar"),
                     ((0.5, 2.0), (1.0, 2.5), (0.0, 1.5), (1.5, 3.5)), -2.0, 60)
    band.add_melody(band.choose("grand piano", "tenor saxophone", "trumpet", "vibraphone"), 70, 1.0)


def _strings(band: Band) -> None:
    band.add_melody("violin", 76, 0.0, 0.0)
    band.add_pad("string section", -2.0, 60)
    if band.chance(0.5):
        band.add_arpeggio("pizzicato strings", 0.5, -3.0, 57)
    band.add_bass("cello", "fifths", -1.0, 0.0)


def _chiptune(band: Band) -> None:
    band.add_melody("square lead", 76, 0.0, 0.3)
    band.add_arpeggio(band.choose("square lead", "saw lead"), 0.25, -5.0, 64)
    band.add_bass("synth bass", band.choose("octaves", "eighths"), -1.0, 0.0)
    band.add_drums("808 drum machine", "chip", -2.0)


def _breakbeat(band: Band) -> None:
    band.add_drums(band.choose("standard drum kit", "power drum kit"), "break", 2.0, 0.3)
    band.add_bass(band.choose("synth bass", "fingered bass"), band.choose("roots", "eighths", "fifths"), 1.0)
    band.add_comping(band.choose("electric piano", "drawbar organ", "clean electric guitar"),
                     ((0.0, 1.5), (0.5, 2.5, 3.0), (0.0, 2.75)), -3.0)
    if band.chance(0.6):
        band.add_pad("warm pad", -7.0)
    band.add_melody(band.choose("saw lead", "trumpet", "vibraphone", "flute"), 72, -2.0, 0.62)


def _solo_piano(band: Band) -> None:
    left, right = band.part("grand piano"), Part(INSTRUMENTS["grand piano"])
    manner = band.choose("arpeggio", "chords", "stride")
    held: list[int] | None = None
    for section, bars in band.sections:
        loud = 46 + 36 * bars.energy
        if manner == "arpeggio":
            play.arpeggio(left, bars, 0.5, 48, loud, band.generator, pedal=True, span=5)
        elif manner == "chords":
            held = play.comping(left, bars, (0.0, 2.0), 52, loud, band.generator, legato=True, previous=held)
        else:
            play.bass(left, bars, "fifths", band.generator)
            held = play.comping(left, bars, (1.0, 3.0), 57, loud, band.generator, previous=held)
        theme = band.hook if section == "chorus" else band.theme
        play.melody(right, bars, band.key, theme, 72, loud + 16, band.generator)
    left.notes.extend(right.notes)


def _folk(band: Band) -> None:
    name = band.choose("nylon guitar", "steel guitar")
    if band.chance(0.6):
        band.add_arpeggio(name, 0.5, 0.0, 57, pedal=True)
    else:
        band.add_comping(name, ((0.0, 1.0, 1.5, 2.5, 3.0), (0.0, 1.0, 2.0, 3.0)), 0.0, 57, rolled=0.02)
    if band.chance(0.6):
        band.add_bass("acoustic bass", "fifths", -3.0)
    if band.chance(0.6):
        band.add_melody(band.choose("flute", "violin", name), 71, -1.0)
    if band.chance(0.3):
        band.add_drums("brush kit", "soft", -6.0)


def _mallets(band: Band) -> None:
    band.add_arpeggio("marimba", 0.5, 0.0, 60)
    band.add_arpeggio(band.choose("vibraphone", "marimba", "celesta"), float(band.generator.choice([0.25, 0.75])),
                      -3.0, 72, quietest=0.5)
    band.add_melody(band.choose("vibraphone", "celesta"), 79, 0.0, 0.62)
    if band.chance(0.5):
        band.add_bass("acoustic bass", "roots", -3.0)
    if band.chance(0.4):
        band.add_drums(band.choose("808 drum machine", "brush kit"), "soft", -4.0)


STYLES: tuple[Style, ...] = (
    Style("four-on-the-floor", (116, 134), ("minor", "dorian", "major"), "auto", 3, (0.5, 0.54), _house),
    Style("ambient", (60, 90), ("major", "lydian", "dorian", "minor"), "still", 4, (0.5, 0.5), _ambient),
    Style("ballad", (60, 88), ("major", "minor"), "auto", 3, (0.5, 0.5), _ballad),
    Style("jazz trio", (96, 170), ("major", "dorian"), "jazz", 4, (0.6, 0.67), _jazz),
    Style("string ensemble", (60, 110), ("minor", "major", "dorian"), "auto", 3, (0.5, 0.5), _strings),
    Style("chiptune", (110, 170), ("major", "minor", "mixolydian"), "auto", 3, (0.5, 0.5), _chiptune),
    Style("breakbeat", (84, 168), ("minor", "dorian", "phrygian"), "auto", 4, (0.5, 0.58), _breakbeat),
    Style("solo piano", (60, 130), ("major", "minor", "dorian", "lydian"), "auto", 3, (0.5, 0.5), _solo_piano),
    Style("guitar folk", (70, 130), ("major", "mixolydian", "dorian"), "auto", 3, (0.5, 0.56), _folk),
    Style("mallets", (80, 140), ("major", "lydian", "dorian"), "auto", 3, (0.5, 0.5), _mallets),
)


def arranged(style: Style, generator: Generator) -> Score:
    """A piece of 45–70 s in the style."""
    band = Band(style, generator)
    style.arrange(band)
    return band.score()
