"""A light reader of compressed MusicXML (.mxl): notes, bars and tempo, and nothing of the layout.

Source: MusicXML 4.0, W3C Community Group Report. Repeats are played once, grace notes left out.
"""

from __future__ import annotations

import math
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from lmdm.errors import InputError

MAXIMUM_BYTES = 96 * 2**20  # of unpacked XML; the largest OpenScore quartet has 12 MB
MAXIMUM_NOTES = 100_000
STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
DYNAMICS = {
    "ppp": 34,
    "pp": 42,
    "p": 54,
    "mp": 66,
    "mf": 78,
    "f": 92,
    "ff": 106,
    "fff": 116,
    "sf": 100,
    "sfz": 102,
    "fp": 84,
    "sfp": 84,
}
TIE_TOLERANCE = 1e-3  # quarters: divisions do not hold every tuplet exactly


@dataclass
class WrittenNote:
    """Start and length in quarters from the beginning of the score, MIDI pitch, velocity."""

    start: float
    length: float
    pitch: int
    velocity: int


@dataclass
class WrittenPart:
    """A part of the score. `polyphonic`: it has two staves or many chords, as a piano's."""

    name: str
    notes: list[WrittenNote] = field(default_factory=list)
    polyphonic: bool = False


@dataclass
class WrittenScore:
    """bars: (start in quarters, beats, quarters a beat); tempi: (start, quarters a minute)."""

    title: str
    parts: list[WrittenPart]
    bars: list[tuple[float, int, float]]
    tempi: list[tuple[float, float]]
    quarters: float


def read_mxl(path: Path) -> WrittenScore:
    """Read a .mxl file. InputError, naming the file, for anything that is not a sane score."""
    try:
        return _parsed(ElementTree.fromstring(_document(path)), path.stem)
    except InputError:
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        OSError,
        EOFError,
        KeyError,
        RuntimeError,
        ElementTree.ParseError,
        ValueError,
        IndexError,
    ) as error:
        raise InputError(
            f"{path.name} is not a readable MusicXML score ({error}); remove or replace it"
        ) from error


def _document(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        names = [
            n
            for n in archive.namelist()
            if n.endswith((".xml", ".musicxml")) and not n.startswith("META-INF")
        ]
        if not names:
            raise InputError(f"{path.name} holds no MusicXML document; remove or replace it")
        # The size in the directory may lie, so the reading itself is limited as well.
        with archive.open(names[0]) as stream:
            data = stream.read(MAXIMUM_BYTES + 1)
    if len(data) > MAXIMUM_BYTES:
        raise InputError(f"{path.name} unpacks to more than {MAXIMUM_BYTES >> 20} MiB; remove it")
    text = data.decode("utf-8-sig")
    if "<!ENTITY" in text:
        raise InputError(f"{path.name} declares XML entities, which no score needs; remove it")
    # The declared encoding no longer holds for decoded text.
    return re.sub(r"^\s*<\?xml[^>]*\?>", "", text)


def _number(element: ElementTree.Element, path: str, default: float) -> float:
    text = element.findtext(path)
    number = float(text) if text else default
    if not math.isfinite(number):
        raise ValueError(f"{path} is {text}")
    return number


@dataclass
class _Bound:
    """A note in its measure, where it ends as written, and whether ties join it to others."""

    note: WrittenNote
    end: float
    tied_from: bool
    tied_to: bool


class _PartReader:
    """Walks one part's measures, keeping the state that MusicXML carries from bar to bar."""

    def __init__(self, name: str) -> None:
        self.part = WrittenPart(name)
        self.divisions = 1.0
        self.meter = (4, 1.0)
        self.velocity = 72
        self.transpose = 0
        self.tempi: list[tuple[int, float, float]] = []
        self.chord_notes = 0
        self.ties: dict[int, tuple[WrittenNote, float]] = {}

    def measures(self, part: ElementTree.Element) -> Iterator[tuple[list[_Bound], float]]:
        """For each measure its notes, with times from the bar line, and its length in quarters."""
        for index, measure in enumerate(part.iterfind("measure")):
            at, last, end = 0.0, 0.0, 0.0
            notes: list[_Bound] = []
            for element in measure:
                duration = _number(element, "duration", 0.0) / self.divisions
                if duration < 0 or duration > 64:
                    raise ValueError(f"a duration of {duration} quarters in measure {index + 1}")
                if element.tag == "attributes":
                    self._attributes(element)
                elif element.tag in ("direction", "sound"):
                    self._direction(element, index, at)
                elif element.tag == "backup":
                    at = max(0.0, at - duration)
                elif element.tag == "forward":
                    at += duration
                elif element.tag == "note" and element.find("grace") is None:
                    in_chord = element.find("chord") is not None
                    start = last if in_chord else at
                    written = self._note(element, start, duration)
                    if written is not None:
                        self.chord_notes += int(in_chord)
                        ties = {tie.get("type") for tie in element.iterfind("tie")}
                        end_written = start + duration
                        bound = _Bound(written, end_written, "stop" in ties, "start" in ties)
                        notes.append(bound)
                    if not in_chord:
                        last, at = at, at + duration
                end = max(end, at)
            yield notes, end

    def _attributes(self, element: ElementTree.Element) -> None:
        self.divisions = max(1.0, _number(element, "divisions", self.divisions))
        if element.find("time/beats") is not None:
            beats = int(sum(float(n) for n in (element.findtext("time/beats") or "4").split("+")))
            unit = 4.0 / _number(element, "time/beat-type", 4.0)
            if not 1 <= beats <= 32 or not 0.1 < unit <= 4:
                raise ValueError(f"a time signature of {beats} beats")
            compound = beats > 3 and beats % 3 == 0 and unit <= 0.5
            self.meter = (beats // 3, unit * 3) if compound else (beats, unit)
        if int(_number(element, "staves", 1)) > 1:
            self.part.polyphonic = True
        if element.find("transpose") is not None:
            self.transpose = int(_number(element, "transpose/chromatic", 0))
            self.transpose += 12 * int(_number(element, "transpose/octave-change", 0))

    def _direction(self, element: ElementTree.Element, measure: int, at: float) -> None:
        sound = element if element.tag == "sound" else element.find("sound")
        if sound is not None and sound.get("tempo"):
            self.tempi.append((measure, at, float(sound.get("tempo", "100"))))
        for dynamics in element.iterfind("direction-type/dynamics"):
            for mark in dynamics:
                self.velocity = DYNAMICS.get(mark.tag, self.velocity)

    def _note(
        self, element: ElementTree.Element, start: float, duration: float
    ) -> WrittenNote | None:
        pitch = element.find("pitch")
        if pitch is None or duration <= 0 or element.find("cue") is not None:
            return None
        step = STEPS[pitch.findtext("step", "C")] + round(_number(pitch, "alter", 0.0))
        number = 12 * (int(_number(pitch, "octave", 4)) + 1) + step + self.transpose
        if not 0 <= number <= 127:
            raise ValueError(f"a pitch of {number}")
        marks = element.find("notations/articulations")
        names = {mark.tag for mark in marks} if marks is not None else set()
        length = duration * (0.5 if names & {"staccato", "staccatissimo"} else 0.96)
        accent = 12 if names & {"accent", "strong-accent"} else 0
        return WrittenNote(start, length, number, min(127, self.velocity + accent))

    def place(self, notes: list[_Bound], bar: float) -> None:
        """Move a measure's notes to the bar's start and join tied notes into one."""
        for bound in notes:
            note = bound.note
            note.start += bar
            before = self.ties.pop(note.pitch, None) if bound.tied_from else None
            if before is not None and abs(before[1] - note.start) < TIE_TOLERANCE:
                before[0].length = note.start + note.length - before[0].start
                note = before[0]
            else:
                self.part.notes.append(note)
            if bound.tied_to:
                self.ties[note.pitch] = (note, bound.end + bar)


def _parsed(root: ElementTree.Element, title: str) -> WrittenScore:
    if root.tag != "score-partwise":
        raise ValueError(f"the document is a <{root.tag}>, not a <score-partwise>")
    names = {
        p.get("id"): p.findtext("part-name") or "" for p in root.iterfind("part-list/score-part")
    }
    readers, measured = [], []
    meters: list[tuple[int, float]] = []
    for order, element in enumerate(root.iterfind("part")):
        reader = _PartReader(names.get(element.get("id"), ""))
        measures = []
        for measure in reader.measures(element):
            measures.append(measure)
            if order == 0:
                meters.append(reader.meter)
        readers.append(reader)
        measured.append(measures)
    if not meters:
        raise ValueError("no measures")
    starts, at = [], 0.0
    for index in range(len(meters)):
        starts.append(at)
        length = max(
            (measures[index][1] for measures in measured if index < len(measures)), default=0.0
        )
        at += length or meters[index][0] * meters[index][1]
    for reader, measures in zip(readers, measured, strict=True):
        for (notes, _), start in zip(measures, starts, strict=False):
            reader.place(notes, start)
        reader.part.polyphonic |= reader.chord_notes > 0.15 * len(reader.part.notes)
    parts = [reader.part for reader in readers if reader.part.notes]
    count = sum(len(part.notes) for part in parts)
    if not 8 <= count <= MAXIMUM_NOTES:
        raise ValueError(f"{count} notes")
    tempi = sorted(
        (starts[m] + o, q)
        for r in readers
        for m, o, q in r.tempi
        if m < len(starts) and 10 < q < 400
    )
    bars = [(start, beats, unit) for start, (beats, unit) in zip(starts, meters, strict=True)]
    return WrittenScore(title, parts, bars, tempi, at)
