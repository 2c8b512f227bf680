"""Ten styles: who plays what in each."""

from __future__ import annotations

from training.recipes.starter import parts as play
from training.recipes.starter.arranger import Band, Generator, Style
from training.recipes.starter.palette import INSTRUMENTS
from training.recipes.starter.score import Part, Score


def _house(band: Band) -> None:
    band.add_drums(band.choose("power drum kit", "808 drum machine"), "house", 2.0)
    band.add_bass("synth bass", band.choose("offbeat", "octaves", "eighths"), 0.0)
    band.add_pad(band.choose("warm pad", "string section"), -6.0)
    if band.chance(0.6):
        band.add_comping(
            band.choose("grand piano", "saw lead", "electric piano"),
            ((0.0, 0.75, 1.5, 2.5, 3.25), (0.5, 1.5, 2.5, 3.5)),
            -3.0,
            66,
        )
    else:
        band.add_arpeggio(band.choose("saw lead", "square lead"), 0.25, -5.0, quietest=0.5)
    band.add_melody(band.choose("saw lead", "square lead", "flute"), 74, -2.0, 0.62)


def _ambient(band: Band) -> None:
    band.add_pad(band.choose("warm pad", "string section", "choir"), 0.0, 58)
    band.add_arpeggio(
        band.choose("electric piano", "harp", "vibraphone", "celesta", "nylon guitar"),
        float(band.generator.choice([0.5, 1.0, 1.0, 2.0])),
        -4.0,
        70,
        pedal=True,
    )
    if band.chance(0.5):
        band.add_bass(band.choose("synth bass", "acoustic bass"), "roots", -3.0)
    if band.chance(0.5):
        band.add_melody(band.choose("flute", "cello", "grand piano", "choir"), 70, -4.0)


def _ballad(band: Band) -> None:
    band.add_arpeggio(
        band.choose("grand piano", "electric piano", "nylon guitar"), 0.5, 0.0, 58, pedal=True
    )
    band.add_bass(
        band.choose("acoustic bass", "fingered bass"), band.choose("roots", "fifths"), -2.0
    )
    band.add_drums(band.choose("standard drum kit", "brush kit"), "soft", -5.0, 0.6)
    if band.chance(0.6):
        band.add_pad(band.choose("string section", "warm pad"), -7.0)
    band.add_melody(band.choose("tenor saxophone", "flute", "violin", "trumpet", "cello"), 69, 0.0)


def _jazz(band: Band) -> None:
    band.add_bass("acoustic bass", "walking", 0.0, 0.0)
    band.add_drums("brush kit", "jazz", -2.0, 0.0)
    band.add_comping(
        band.choose("grand piano", "electric piano", "clean electric guitar"),
        ((0.5, 2.0), (1.0, 2.5), (0.0, 1.5), (1.5, 3.5)),
        -2.0,
        60,
    )
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
    band.add_bass(
        band.choose("synth bass", "fingered bass"), band.choose("roots", "eighths", "fifths"), 1.0
    )
    band.add_comping(
        band.choose("electric piano", "drawbar organ", "clean electric guitar"),
        ((0.0, 1.5), (0.5, 2.5, 3.0), (0.0, 2.75)),
        -3.0,
    )
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
            held = play.comping(
                left, bars, (0.0, 2.0), 52, loud, band.generator, legato=True, previous=held
            )
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
        band.add_comping(
            name, ((0.0, 1.0, 1.5, 2.5, 3.0), (0.0, 1.0, 2.0, 3.0)), 0.0, 57, rolled=0.02
        )
    if band.chance(0.6):
        band.add_bass("acoustic bass", "fifths", -3.0)
    if band.chance(0.6):
        band.add_melody(band.choose("flute", "violin", name), 71, -1.0)
    if band.chance(0.3):
        band.add_drums("brush kit", "soft", -6.0)


def _mallets(band: Band) -> None:
    band.add_arpeggio("marimba", 0.5, 0.0, 60)
    band.add_arpeggio(
        band.choose("vibraphone", "marimba", "celesta"),
        float(band.generator.choice([0.25, 0.75])),
        -3.0,
        72,
        quietest=0.5,
    )
    band.add_melody(band.choose("vibraphone", "celesta"), 79, 0.0, 0.62)
    if band.chance(0.5):
        band.add_bass("acoustic bass", "roots", -3.0)
    if band.chance(0.4):
        band.add_drums(band.choose("808 drum machine", "brush kit"), "soft", -4.0)


STYLES: tuple[Style, ...] = (
    Style(
        "four-on-the-floor",
        (116, 134),
        ("minor", "dorian", "major"),
        "auto",
        3,
        (0.5, 0.54),
        _house,
    ),
    Style(
        "ambient",
        (60, 90),
        ("major", "lydian", "dorian", "minor"),
        "still",
        4,
        (0.5, 0.5),
        _ambient,
    ),
    Style("ballad", (60, 88), ("major", "minor"), "auto", 3, (0.5, 0.5), _ballad),
    Style("jazz trio", (96, 170), ("major", "dorian"), "jazz", 4, (0.6, 0.67), _jazz),
    Style(
        "string ensemble", (60, 110), ("minor", "major", "dorian"), "auto", 3, (0.5, 0.5), _strings
    ),
    Style(
        "chiptune", (110, 170), ("major", "minor", "mixolydian"), "auto", 3, (0.5, 0.5), _chiptune
    ),
    Style(
        "breakbeat", (84, 168), ("minor", "dorian", "phrygian"), "auto", 4, (0.5, 0.58), _breakbeat
    ),
    Style(
        "solo piano",
        (60, 130),
        ("major", "minor", "dorian", "lydian"),
        "auto",
        3,
        (0.5, 0.5),
        _solo_piano,
    ),
    Style(
        "guitar folk", (70, 130), ("major", "mixolydian", "dorian"), "auto", 3, (0.5, 0.56), _folk
    ),
    Style("mallets", (80, 140), ("major", "lydian", "dorian"), "auto", 3, (0.5, 0.5), _mallets),
)


def arranged(style: Style, generator: Generator) -> Score:
    """A piece of 45–70 s in the style."""
    band = Band(style, generator)
    style.arrange(band)
    return band.score()
