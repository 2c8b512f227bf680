"""The instruments of the starter corpus: General MIDI programs and drum kits, with their ranges."""

from __future__ import annotations

from dataclasses import dataclass

DRUM_BANK = 128


@dataclass(frozen=True)
class Instrument:
    """A General MIDI sound. low, high: the MIDI pitches it plays well."""

    name: str
    program: int
    family: str
    low: int
    high: int
    is_drum: bool = False


INSTRUMENTS: dict[str, Instrument] = {
    instrument.name: instrument
    for instrument in (
        Instrument("grand piano", 0, "piano", 21, 108),
        Instrument("electric piano", 4, "electric piano", 28, 98),
        Instrument("celesta", 8, "mallets", 60, 100),
        Instrument("vibraphone", 11, "mallets", 45, 96),
        Instrument("marimba", 12, "mallets", 40, 96),
        Instrument("drawbar organ", 16, "organ", 30, 96),
        Instrument("church organ", 19, "organ", 30, 96),
        Instrument("nylon guitar", 24, "guitar", 40, 84),
        Instrument("steel guitar", 25, "guitar", 40, 84),
        Instrument("clean electric guitar", 27, "guitar", 40, 86),
        Instrument("acoustic bass", 32, "bass", 28, 60),
        Instrument("fingered bass", 33, "bass", 28, 60),
        Instrument("synth bass", 38, "bass", 28, 60),
        Instrument("violin", 40, "strings", 55, 98),
        Instrument("cello", 42, "strings", 36, 76),
        Instrument("pizzicato strings", 45, "strings", 36, 96),
        Instrument("harp", 46, "harp", 30, 98),
        Instrument("string section", 48, "strings", 30, 96),
        Instrument("choir", 52, "choir", 40, 84),
        Instrument("trumpet", 56, "brass", 54, 86),
        Instrument("tenor saxophone", 66, "reed", 44, 78),
        Instrument("flute", 73, "flute", 60, 96),
        Instrument("square lead", 80, "synth lead", 36, 98),
        Instrument("saw lead", 81, "synth lead", 36, 98),
        Instrument("warm pad", 89, "synth pad", 36, 90),
        Instrument("standard drum kit", 0, "drums", 35, 81, True),
        Instrument("power drum kit", 16, "drums", 35, 81, True),
        Instrument("808 drum machine", 25, "drums", 35, 81, True),
        Instrument("brush kit", 40, "drums", 35, 81, True),
    )
}
