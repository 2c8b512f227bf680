"""Names of controllers, as mappings write them, in words. Pure; no Qt.

>>> source_words("cc:1:74")
'CC 74, channel 1'
>>> moved("cc:1:74 = 63")
Moved(source='cc:1:74', value=63, share=0.496)
"""

from __future__ import annotations

from dataclasses import dataclass

PITCHES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")
RANGES = {"cc14": 16383, "nrpn": 16383, "bend": 16383}  # highest value; others 127
WHOLE = {"bend": "Pitch bend", "program": "Program change", "pressure": "Pressure"}
NUMBERED = {"cc": "CC {}", "cc14": "CC {} (14 bit)", "nrpn": "NRPN {}", "note": "Note {}"}


def pitch_words(pitch: int) -> str:
    """60 to `C4`."""
    return f"{PITCHES[pitch % 12]}{pitch // 12 - 1}"


def source_words(source: str) -> str:
    """A controller in words; the name itself where it is of no known form."""
    kind, _, rest = source.partition(":")
    parts = rest.split(":")
    channel = "any channel" if parts[0] == "*" else f"channel {parts[0]}"
    if kind in WHOLE and len(parts) == 1:
        return f"{WHOLE[kind]}, {channel}"
    if kind in NUMBERED and len(parts) == 2 and parts[1].isdecimal():
        number = pitch_words(int(parts[1])) if kind == "note" else parts[1]
        return f"{NUMBERED[kind].format(number)}, {channel}"
    return source


@dataclass(frozen=True)
class Moved:
    """A controller that moved, its value, and that as a share of its range."""

    source: str
    value: int
    share: float


def moved(text: str) -> Moved | None:
    """What `Snapshot.last_controller` says; None where it says nothing."""
    source, sign, value = text.partition(" = ")
    if not sign or not value.strip().lstrip("-").isdecimal():
        return None
    number = int(value)
    most = RANGES.get(source.partition(":")[0], 127)
    return Moved(source, number, round(min(max(number / most, 0.0), 1.0), 3))
