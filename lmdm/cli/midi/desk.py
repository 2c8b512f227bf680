"""Everything MIDI of a performance: devices, what their controls mean, learning, feedback.

desk = MidiDesk(performance.send, performance.snapshot)
desk.handle(BeginLearn("set_guidance"))     # then a knob is turned
desk.observe(SetGuidance(3.0))              # somebody else moved it: soft takeover knows
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from audio_io.clock_input import ClockInput
from audio_io.controllers import Source, Turn
from audio_io.midi import VIRTUAL, MidiPorts
from audio_io.midi_events import Clock, Continue, ControlChange, MidiEvent, NoteOn, SongPosition
from audio_io.midi_events import Start as ClockStart
from audio_io.midi_events import Stop as ClockStop
from lmdm.cli.midi.learn import Learning
from lmdm.cli.midi.map import MidiMap
from lmdm.cli.midi.profile import (
    Profile,
    ProfileStore,
    checked_mapping,
    read_profile,
    write_profile,
)
from lmdm.errors import GoingOn, InputError
from lmdm.live.messages import (
    BeginLearn,
    CancelLearn,
    ExportMappings,
    ForgetMapping,
    ImportMappings,
    Message,
    NoteOff,
    SelectMidiInput,
    SelectMidiOutput,
    SetChannelRole,
    SetMapping,
    Snapshot,
)
from lmdm.live.targets import fields_set, target_of

TICK_SECONDS = 0.01  # a flood of one control becomes one message in so long
LOOK_SECONDS = 0.1  # between two looks at the snapshot
FRESH_SECONDS = 1.0  # what was sent is believed before the snapshot for so long
FEEDBACK_SECONDS = 0.05
CLOCK_EVENTS = (Clock, ClockStart, ClockStop, Continue, SongPosition)
CLOCK_SILENCE = 1.0  # s after which another device's clock is taken


class MidiDesk:
    """The MIDI devices of one performance.

    Threads: `handle`, `observe` and `fields` may be called from any thread. The ports' thread puts
    events into a queue; a thread of our own turns them into messages and calls `send`, a flood
    being thinned out to the newest value of each control.
    """

    def __init__(
        self,
        send: Callable[[Message], None],
        look: Callable[[], Snapshot],
        port: str | None = None,
        folder: Path | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Opens the ports (see `MidiPorts`).

        folder: where profiles are kept; None: nowhere. say: gets one line for the musician.

        Raises:
            InputError: there is no MIDI, or not the port.
        """
        self._send, self._look = send, look
        self._store = ProfileStore(folder)
        self._events: queue.SimpleQueue[tuple[str, MidiEvent | None]] = queue.SimpleQueue()
        self._lock = threading.RLock()
        self._maps: dict[str, MidiMap] = {}
        self._device = "virtual"  # the one in use: whose control moved last
        self._learning: Learning | None = None
        self._last_controller = ""
        self._snapshot, self._looked_at = Snapshot(), float("-inf")
        self._sent: dict[str, tuple[Any, float]] = {}  # field of the snapshot -> value, when
        self._waiting: dict[object, Message] = {}  # of a flood: the newest of each control
        self._passed: dict[object, float] = {}  # when each control was sent last
        self._output = VIRTUAL
        self._lights: dict[str, dict[Source, int]] = {}  # device -> what its lights show
        self._lit_at = 0.0
        self._say = say
        self._gone: set[str] = set()  # devices that went away
        self.clock = ClockInput()
        self._clock_device, self._clock_at = "", float("-inf")
        self._closing = threading.Event()
        self._ports = MidiPorts(self._arrived, port, lambda device: self._put(device, None))
        if port is not None:
            self._device = next(iter(self._ports.devices), self._device)
        self._thread = threading.Thread(target=self._run, name="midi desk", daemon=True)
        self._thread.start()

    # --- any thread -----------------------------------------------------------------------------

    def handle(self, message: Message) -> bool:
        """Does what a message about MIDI asks; False if it is about something else.

        Raises:
            InputError: a target, a source, a port or a file that is none.
        """
        if isinstance(message, SelectMidiInput):
            self._ports.select(message.port or None)
            return True
        if isinstance(message, SelectMidiOutput):
            self._output = message.port or VIRTUAL
            self._ports.open_output(self._output)
            return True
        with self._lock:
            profile = self._map(self._device).profile
            match message:
                case BeginLearn(target=target):
                    self._learning = Learning(target)
                case CancelLearn():
                    self._learning = None
                case ForgetMapping(target=target):
                    self._keep(profile.without(target_of(target).name if target else ""))
                case SetMapping():
                    self._keep(profile.with_mapping(checked_mapping(message)))
                case SetChannelRole():
                    self._keep(profile.with_role(message))
                case ExportMappings(file=file):
                    if Path(file).exists():
                        read_profile(Path(file))  # nothing but mappings is written over
                    write_profile(Path(file), profile)
                case ImportMappings(file=file):
                    self._keep(replace(read_profile(Path(file)), device=self._device))
                case _:
                    return False
        return True

    def observe(self, message: Message) -> None:
        """Somebody, we ourselves perhaps, has sent a message: controls stand elsewhere now."""
        now = time.perf_counter()
        for field, value in fields_set(message).items():
            self._sent[field] = (value, now)

    def fields(self) -> dict[str, Any]:
        """What the snapshot says of MIDI."""
        with self._lock:
            device = self._map(self._device)
            return {
                "midi": ", ".join(self._ports.names),
                "midi_out": self._ports.outputs.get(self._output, ""),
                "midi_inputs": self._ports.sources,
                "midi_outputs": self._ports.sinks,
                "channel_roles": device.profile.roles,
                "mappings": device.mappings(),
                "learning": self._learning.target if self._learning else "",
                "last_controller": self._last_controller,
            }

    def close(self) -> None:
        """Closes every port."""
        self._closing.set()
        self._thread.join()
        self._ports.close()

    def send(self, event: MidiEvent) -> None:
        """Sends an event, such as a clock's tick, to the output selected, or our virtual one."""
        self._ports.open_output(self._output)
        self._ports.send(event, self._output)

    # --- the ports' thread -----------------------------------------------------------------------

    def _arrived(self, device: str, event: MidiEvent) -> None:
        if isinstance(event, CLOCK_EVENTS):
            if device != self._clock_device and event.time - self._clock_at > CLOCK_SILENCE:
                self._clock_device = device
            if device == self._clock_device:
                self._clock_at = event.time
                self.clock.feed(event)
        else:
            self._put(device, event)

    def _put(self, device: str, event: MidiEvent | None) -> None:
        self._events.put((device, event))

    # --- our thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        going_on = GoingOn("MIDI", self._say)
        while not self._closing.is_set():
            with going_on:
                self._turn(going_on)

    def _turn(self, going_on: GoingOn) -> None:
        messages: list[Message] = []
        with contextlib.suppress(queue.Empty):
            device, event = self._events.get(timeout=TICK_SECONDS)
            while True:
                with going_on:
                    messages += self._asked(device, event)
                device, event = self._events.get_nowait()
        now = time.perf_counter()
        for each in tuple(self._maps.values()):
            messages += each.due(now)
        self._learn((), now)
        for message in messages:
            with going_on:
                self._pass(message, now)
        self._flush(now)
        if now - self._lit_at >= FEEDBACK_SECONDS:
            self._lit_at = now
            self._light()
            self._tell_returned()

    def _asked(self, device: str, event: MidiEvent | None) -> list[Message]:
        with self._lock:
            device_map = self._map(device)
            if event is None:
                return self._lifted(self._lost(device, device_map))
            turns = device_map.turns(event)
            if turns:
                self._device = device
                self._last_controller = _said([turn for turn in turns if turn.fine][-1])
                if self._learn(turns, event.time):
                    return []
            return self._lifted(device_map.messages(event, turns, self._known))

    def _lifted(self, messages: list[Message]) -> list[Message]:
        """The messages without the end of notes that another device still holds."""
        held = {pitch for each in self._maps.values() for pitch in each.held}
        return [each for each in messages if not (isinstance(each, NoteOff) and each.pitch in held)]

    def _lost(self, device: str, device_map: MidiMap) -> list[Message]:
        """The device is gone: nobody will lift the keys that it holds down."""
        if device == "virtual":
            self._say("MIDI is gone for a moment: its driver is started again")
        else:
            self._gone.add(device)
            self._say(f"the MIDI device {device} is gone: its notes end; it may come back")
        return device_map.lost()

    def _tell_returned(self) -> None:
        for device in self._gone.intersection(self._ports.devices):
            self._gone.remove(device)
            self._say(f"the MIDI device {device} is back")

    def _learn(self, turns: tuple[Turn, ...], now: float) -> bool:
        """Whether the movement was one to learn from, and so does nothing else."""
        with self._lock:
            if self._learning is None:
                return False
            mapping = self._learning.hear(turns, now) if turns else self._learning.due(now)
            if mapping is not None:
                self._learning = None
                self._keep(self._map(self._device).profile.with_learnt(mapping))
            return True

    def _pass(self, message: Message, now: float) -> None:
        """Sends a message, or lets it wait if one of its kind has just been sent."""
        key = message.control
        if key is None:
            self._deliver(message)
            return
        self.observe(message)
        if now - self._passed.get(key, float("-inf")) < TICK_SECONDS:
            self._waiting[key] = message
        else:
            self._waiting.pop(key, None)
            self._passed[key] = now
            self._deliver(message)

    def _flush(self, now: float) -> None:
        for key in [key for key in self._waiting if now - self._passed[key] >= TICK_SECONDS]:
            self._passed[key] = now
            self._deliver(self._waiting.pop(key))

    def _deliver(self, message: Message) -> None:
        try:
            self._send(message)
        except InputError as problem:  # a scene that is not there: the knob means nothing now
            self._say(str(problem))

    def _known(self, field: str) -> Any:
        """A field of the snapshot, with what has been sent since."""
        now = time.perf_counter()
        value, at = self._sent.get(field, (None, float("-inf")))
        if now - at < FRESH_SECONDS:
            return value
        if now - self._looked_at > LOOK_SECONDS:
            self._snapshot, self._looked_at = self._look(), now
        return getattr(self._snapshot, field)

    # --- profiles -------------------------------------------------------------------------------

    def _map(self, device: str) -> MidiMap:
        if device not in self._maps:
            profile, problem = self._store.load(device)
            self._maps[device] = MidiMap(profile)
            if problem:
                self._say(problem)
        return self._maps[device]

    def _keep(self, profile: Profile) -> None:
        """Uses a profile for the device in use, and writes it."""
        self._map(self._device).profile = profile
        try:
            self._store.save(profile)
        except InputError as problem:  # it holds for this session at least
            self._say(str(problem))

    def _light(self) -> None:
        """Tells devices that want it where their controls stand."""
        for name, device in tuple(self._maps.items()):
            if not device.profile.feedback:
                continue
            self._ports.open_output(name)
            shown = self._lights.setdefault(name, {})
            with self._lock:
                values = device.feedback(self._known)
            for source, value in values.items():
                if shown.get(source) != value:
                    shown[source] = value
                    self._ports.send(_lit(source, value), name)


def _lit(source: Source, value: int) -> MidiEvent:
    channel = source.channel or 0
    if source.kind == "note":
        return NoteOn(0.0, channel, source.number, value)  # velocity 0 puts the light out
    return ControlChange(0.0, channel, source.number, value)


def _said(turn: Turn) -> str:
    if turn.steps:
        return f"{turn.source} {turn.steps:+d}"
    value = f"{turn.value:.4f}" if turn.source.kind in ("cc14", "nrpn", "rpn", "bend") else turn.raw
    return f"{turn.source} = {value}"
