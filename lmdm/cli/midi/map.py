"""What one MIDI device asks for: its knobs move controls, its notes play by the channel's role.

| MIDI                     | does, until you map it otherwise                           |
|--------------------------|------------------------------------------------------------|
| notes, channels 1-9, 11- | play (role `melody`; `chords` sets the harmony)            |
| notes, channel 10        | drums play while a key is down (role `drums`)              |
| CC 1, modulation wheel   | prompt blend, first to last                                |
| CC 7, volume             | output gain, silence to 0 dB                               |
| CC 64, sustain pedal     | holds notes                                                |
| CC 74, brightness        | guidance, 1 to 6                                           |
| pitch bend               | bend of the held notes, two semitones                      |
| program change           | scene of that number                                       |
| CC 120, 121, 123         | panic, wheel and pedal at rest, all notes off              |

The last three cannot be mapped.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from audio_io import midi_events
from audio_io.controllers import Controllers, Source, Turn
from audio_io.encoders import RELATIVE, steps
from lmdm.cli.midi.profile import Profile
from lmdm.cli.midi.soft_takeover import SoftTakeover
from lmdm.live.messages import (
    AllNotesOff,
    ControllerMapping,
    Message,
    NoteOff,
    NoteOn,
    Panic,
    RecallSceneNumber,
    SetChord,
    SetDrums,
    SetMapping,
    SetPitchBend,
    Sustain,
)
from lmdm.live.targets import Get, Target, fields_set, target_of

ALL_SOUND_OFF, RESET_CONTROLLERS, ALL_NOTES_OFF = 120, 121, 123
GATE_SECONDS = 0.5  # a struck pad lets the drums in for so long at least
PRESSED = 0.5  # share from which a button is down


class _Knob:
    """One mapping and what has to be remembered of it."""

    def __init__(self, mapping: SetMapping) -> None:
        self.mapping = mapping
        self.source = Source.parse(mapping.source)
        self.target: Target = target_of(mapping.target)
        self.takeover = SoftTakeover(mapping.takeover)
        self.down = False
        self.switched: Message | None = None  # what it asked for last

    def turn(self, turn: Turn, get: Get) -> Message | None:
        """What the movement asks for."""
        encoding = self.mapping.encoding
        if turn.steps or encoding in RELATIVE:
            moved = turn.steps or steps(turn.raw, encoding)
            return self._moved_by(moved, get)
        if self.target.shape == "trigger" or encoding in ("toggle", "trigger"):
            return self._pressed(turn, get)
        mapping = self.mapping
        wanted = mapping.low + (mapping.high - mapping.low) * turn.value
        now = self.target.share(get)
        share = self.takeover.moved(wanted, now)
        message = None if share is None else self.target.message(share, get)
        if message is None:
            return None
        left = self.target.share(fields_set(message).get)
        self.takeover.left_at(left)
        if self.target.shape == "switch" and message == self.switched and left == now:
            return None  # a pedal that tells its whole way says so once
        self.switched = message
        return message

    def _moved_by(self, moved: int, get: Get) -> Message | None:
        low, high = sorted((self.mapping.low, self.mapping.high))
        if self.mapping.low > self.mapping.high:
            moved = -moved
        now = self.target.share(get)
        share = (low if now is None else now) + moved / self.target.detents
        return self.target.message(min(high, max(low, share)), get)

    def _pressed(self, turn: Turn, get: Get) -> Message | None:
        was, self.down = self.down, turn.value >= PRESSED
        if turn.source.kind == "note":
            self.down = turn.value > 0.0
        if turn.source.kind == "program":  # a program change is a press, whatever its number
            if self.mapping.target == "recall_scene_number":
                return RecallSceneNumber(turn.raw)
            was, self.down = False, True
        if was or not self.down:
            return None
        mapping = self.mapping
        now = self.target.share(get)
        if mapping.encoding == "toggle" and now is not None:
            back = abs(now - mapping.high) < abs(now - mapping.low)
            return self.target.message(mapping.low if back else mapping.high, get)
        return self.target.message(mapping.high, get)


class MidiMap:
    """Turns the events of one device into control messages.

    Threads: none; the owner locks.
    """

    def __init__(self, profile: Profile) -> None:
        self._controllers = Controllers()
        self._keys: dict[int, set[int]] = {}  # pitch -> channels on which its key is down
        self._chord: set[tuple[int, int]] = set()  # (channel, pitch) of keys down, role chords
        self._pads: set[tuple[int, int]] = set()  # the same for drums
        self._gate_opened = float("-inf")
        self._gate_open = False
        self._pedal = self._bent = False  # whether this device holds the pedal, and bends
        self.profile = profile

    @property
    def profile(self) -> Profile:
        """The mappings and roles; setting it takes effect at once."""
        return self._profile

    @profile.setter
    def profile(self, profile: Profile) -> None:
        known = {knob.mapping: knob for knob in getattr(self, "_knobs", ())}
        self._knobs = [known.get(mapping) or _Knob(mapping) for mapping in profile.mappings]
        self._profile = profile

    def turns(self, event: midi_events.MidiEvent) -> tuple[Turn, ...]:
        """The movements of controls that an event completes; call once an event."""
        return self._controllers.feed(event)

    def messages(
        self, event: midi_events.MidiEvent, turns: Iterable[Turn], get: Get
    ) -> list[Message]:
        """What an event with its `turns` asks for; `get` looks at a field of the snapshot."""
        if isinstance(event, midi_events.ControlChange):
            if event.control == ALL_SOUND_OFF:
                return [Panic()]
            if event.control == RESET_CONTROLLERS:
                return self._at_rest()
            if event.control == ALL_NOTES_OFF:
                return self._all_notes_off()
        asked = self._moved(turns, get)
        return self._note(event) if asked is None else asked

    def _moved(self, turns: Iterable[Turn], get: Get) -> list[Message] | None:
        """What mapped controls ask for; None where none of them is mapped."""
        asked: list[Message] = []
        mapped = False
        for turn in turns:
            for knob in self._knobs:
                if knob.source.matches(turn.source):
                    mapped = True
                    message = knob.turn(turn, get)
                    asked += [message] if message is not None else []
        for message in asked:
            if isinstance(message, Sustain):
                self._pedal = message.down
            elif isinstance(message, SetPitchBend):
                self._bent = message.semitones != 0.0
        return asked if mapped else None

    @property
    def held(self) -> frozenset[int]:
        """Pitches of the keys that are down."""
        return frozenset(self._keys)

    def due(self, now: float) -> list[Message]:
        """What time itself asks for: the drums' gate closes. `now` as in `MidiEvent.time`."""
        if self._gate_open and not self._pads and now - self._gate_opened >= GATE_SECONDS:
            self._gate_open = False
            return [SetDrums(False)]
        return []

    # --- notes ----------------------------------------------------------------------------------

    def _note(self, event: midi_events.MidiEvent) -> list[Message]:
        match event:
            case midi_events.NoteOn(channel=channel, pitch=pitch):
                role = self._role(channel)
                if role == "melody":
                    self._keys.setdefault(pitch, set()).add(channel)
                    return [NoteOn(pitch, event.velocity)]
                if role == "chords":
                    self._chord.add((channel, pitch))
                    return [_harmony(self._chord)]
                if role == "drums":
                    self._pads.add((channel, pitch))
                    self._gate_opened, self._gate_open = event.time, True
                    return [SetDrums(True)]
            case midi_events.NoteOff(channel=channel, pitch=pitch):
                return self._released(channel, pitch)
        return []

    def _released(self, channel: int, pitch: int) -> list[Message]:
        """A key comes up; what it began is ended, whatever the role of its channel is by now."""
        self._pads.discard((channel, pitch))
        if (channel, pitch) in self._chord:
            self._chord.discard((channel, pitch))
            return [] if self._chord else [SetChord(None)]
        channels = self._keys.get(pitch, set())
        if channel not in channels:
            return []
        channels.discard(channel)
        if channels:  # another channel, as of an MPE controller, holds the same pitch
            return []
        del self._keys[pitch]
        return [NoteOff(pitch)]

    def _role(self, channel: int) -> str:
        mpe = channel in self._controllers.note_channels
        return "melody" if mpe else self.profile.roles[channel]

    def _all_notes_off(self) -> list[Message]:
        had_chord = bool(self._chord)
        self._keys.clear()
        self._chord.clear()
        self._pads.clear()
        self._pedal = False
        return [AllNotesOff(), *([SetChord(None)] if had_chord else [])]

    def _at_rest(self) -> list[Message]:
        """Pedal and wheel go back to where nobody holds them, if this device has moved them."""
        asked: list[Message] = [Sustain(False)] if self._pedal else []
        asked += [SetPitchBend(0.0)] if self._bent else []
        self._pedal = self._bent = False
        return asked

    def lost(self) -> list[Message]:
        """The device is gone: keys and pedal come up, since nobody else could lift them."""
        lifted: list[Message] = [NoteOff(pitch) for pitch in sorted(self._keys)]
        lifted += [*self._at_rest(), *([SetChord(None)] if self._chord else [])]
        self._keys.clear()
        self._chord.clear()
        self._pads.clear()
        self._controllers = Controllers()
        return lifted

    # --- looking --------------------------------------------------------------------------------

    def mappings(self) -> tuple[ControllerMapping, ...]:
        """The mappings as the musician sees them, with where each knob is."""
        return tuple(
            ControllerMapping(**vars(knob.mapping), hand=knob.takeover.hand,
                              holds=knob.takeover.holds)
            for knob in self._knobs
        )  # fmt: skip

    def feedback(self, get: Get) -> dict[Source, int]:
        """7-bit value of each mapped plain controller and note, to light the device with."""
        values: dict[Source, int] = {}
        for knob in self._knobs:
            share = knob.target.share(get)
            if share is None or knob.source.kind not in ("cc", "note"):
                continue
            low, high = knob.mapping.low, knob.mapping.high
            place = (share - low) / (high - low) if high != low else share
            channel = knob.source.channel or 0
            source = replace(knob.source, channel=channel)
            values[source] = round(127 * min(1.0, max(0.0, place)))
        return values


def _harmony(keys: set[tuple[int, int]]) -> SetChord:
    return SetChord(tuple(sorted({pitch % 12 for _, pitch in keys})))
