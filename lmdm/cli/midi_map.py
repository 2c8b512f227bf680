"""What a MIDI event asks for: notes, pedal, and the default controllers.

| MIDI                     | does                                            |
|--------------------------|-------------------------------------------------|
| notes, channels 1-9, 11- | play                                            |
| notes, channel 10        | let the model play drums                        |
| CC 1, modulation wheel   | prompt blend, first to last                     |
| CC 7, volume             | output gain, -90 to 0 dB                        |
| CC 64, sustain pedal     | holds notes                                     |
| CC 74, brightness        | guidance, 1 to 6                                |
| CC 120, 123              | all sound off (panic), all notes off            |
"""

from __future__ import annotations

import math

from audio_io import midi_events
from lmdm.live.messages import (
    AllNotesOff,
    Message,
    NoteOff,
    NoteOn,
    Panic,
    SetBlend,
    SetDrums,
    SetGain,
    SetGuidance,
    Sustain,
)

DRUM_CHANNEL = 9  # channel 10 as musicians count
MODULATION, VOLUME, SUSTAIN, BRIGHTNESS, ALL_SOUND_OFF, ALL_NOTES_OFF = 1, 7, 64, 74, 120, 123
LOWEST_GUIDANCE, HIGHEST_GUIDANCE = 1.0, 6.0


def message_of(event: midi_events.MidiEvent) -> Message | None:
    """The control message of a MIDI event; None where it means nothing.

    >>> message_of(midi_events.ControlChange(0.0, 0, MODULATION, 127))
    SetBlend(position=1.0)
    """
    match event:
        case midi_events.NoteOn(channel=channel):
            drum = channel == DRUM_CHANNEL
            return SetDrums(True) if drum else NoteOn(event.pitch, event.velocity)
        case midi_events.NoteOff(channel=channel):
            return None if channel == DRUM_CHANNEL else NoteOff(event.pitch)
        case midi_events.ControlChange(control=control, value=value):
            return _controller(control, value)
    return None


def _controller(control: int, value: int) -> Message | None:
    share = value / 127.0
    match control:
        case 1:
            return SetBlend(share)
        case 7:
            return SetGain(max(-90.0, 40.0 * math.log10(share)) if value else -90.0)
        case 64:
            return Sustain(value >= 64)
        case 74:
            span = HIGHEST_GUIDANCE - LOWEST_GUIDANCE
            return SetGuidance(round(LOWEST_GUIDANCE + span * share, 2))
        case 120:
            return Panic()
        case 123:
            return AllNotesOff()
    return None
