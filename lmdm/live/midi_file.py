"""A standard MIDI file as control messages at exact sample positions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from lmdm.errors import InputError
from lmdm.live.messages import Message, NoteOff, NoteOn, SetTempo

SAMPLE_RATE = 44100
DRUM_CHANNEL = 9  # channel 10 as musicians count
LOWEST_BPM, HIGHEST_BPM = 20.0, 400.0
SUSTAIN_PEDAL = 64


@dataclass(frozen=True)
class Score:
    """What a MIDI file asks for.

    events: `(sample, message)` in order of position: notes and tempo.
    drums: whether the drum channel has a note.
    """

    events: tuple[tuple[int, Message], ...]
    samples: int  # where the last event lies
    bpm: float  # at the beginning
    notes: int  # notes outside the drum channel
    drums: bool


def read_score(path: Path, bpm: float | None = None) -> Score:
    """Reads a MIDI file. `bpm` replaces the file's own tempo throughout.

    Pitches of all channels but the drums' are merged: a pitch sounds until the last channel that
    holds it, by key or pedal, lets go.

    Raises:
        InputError: the file cannot be read or is not a MIDI file.
    """
    import mido

    try:
        midi = mido.MidiFile(str(path), clip=True)
    except OSError as problem:
        reason = problem.strerror or "it is not a standard MIDI file"
        raise InputError(f"the MIDI file {path} cannot be read: {reason}") from None
    except Exception:  # mido raises whatever a malformed byte leads to
        raise InputError(f"{path} is not a MIDI file, or it is damaged") from None
    if midi.type == 2:
        raise InputError(f"{path} is a MIDI file of type 2; save it as type 0 or 1")
    if midi.ticks_per_beat <= 0:
        raise InputError(f"{path} counts time in SMPTE frames; save it with ticks a beat")
    return _score(midi, bpm)


def _score(midi: object, fixed_bpm: float | None) -> Score:
    import mido

    tempo = fixed_bpm or 120.0
    seconds = 0.0
    first_bpm: float | None = fixed_bpm
    events: list[tuple[int, Message]] = []
    keys: set[tuple[int, int]] = set()  # (channel, pitch) down
    pedalled: set[tuple[int, int]] = set()  # up, held by their channel's pedal
    pedals: set[int] = set()
    sounding: Counter[int] = Counter()
    notes, drums = 0, False

    def release(holds: set[tuple[int, int]], sample: int) -> None:
        for _, pitch in sorted(holds):
            sounding[pitch] -= 1
            if sounding[pitch] == 0:
                events.append((sample, NoteOff(pitch)))

    for message in mido.merge_tracks(midi.tracks):  # type: ignore[attr-defined]
        seconds += message.time * 60.0 / (tempo * midi.ticks_per_beat)  # type: ignore[attr-defined]
        sample = round(seconds * SAMPLE_RATE)
        if message.type == "set_tempo" and fixed_bpm is None and message.tempo > 0:
            tempo = min(HIGHEST_BPM, max(LOWEST_BPM, 60e6 / message.tempo))
            if sample == 0:
                first_bpm = tempo
            else:
                events.append((sample, SetTempo(tempo)))
        elif message.type in ("note_on", "note_off") and message.channel == DRUM_CHANNEL:
            drums = drums or (message.type == "note_on" and message.velocity > 0)
        elif message.type == "note_on" and message.velocity > 0:
            hold = (message.channel, message.note)
            if hold not in keys and hold not in pedalled:
                sounding[message.note] += 1
            keys.add(hold)
            pedalled.discard(hold)
            events.append((sample, NoteOn(message.note, message.velocity)))
            notes += 1
        elif message.type in ("note_on", "note_off"):
            hold = (message.channel, message.note)
            if hold in keys:
                keys.discard(hold)
                if message.channel in pedals:
                    pedalled.add(hold)
                else:
                    release({hold}, sample)
        elif message.type == "control_change" and message.control == SUSTAIN_PEDAL:
            if message.value >= 64:
                pedals.add(message.channel)
            else:
                pedals.discard(message.channel)
                freed = {hold for hold in pedalled if hold[0] == message.channel}
                pedalled -= freed
                release(freed, sample)
    end = round(seconds * SAMPLE_RATE)
    return Score(tuple(events), end, first_bpm or 120.0, notes, drums)
