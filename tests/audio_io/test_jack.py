"""The whole chain on real callbacks: PortAudio, rtmixer and RtMidi against a JACK server."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from audio_io.device_keeper import DeviceKeeper
from audio_io.devices import choose_device
from audio_io.hosted import list_devices
from audio_io.input import Input, InputStats
from audio_io.midi import MidiPorts
from audio_io.midi_events import ControlChange, MidiEvent, NoteOff, NoteOn
from audio_io.output import Audio, Output, OutputConfig, OutputStats
from audio_io.playout import open_playout
from lmdm.errors import InputError
from tests.audio_io.jack import RATE, JackServer, Keys

pytestmark = pytest.mark.jack

FREQUENCY = 441.0


class Sine:
    """A source at 44.1 kHz."""

    def __init__(self, level: float = 0.5) -> None:
        self.level, self.position = level, 0

    def read(self, count: int) -> Audio:
        times = (self.position + np.arange(count)) / 44100
        self.position += count
        wave = self.level * np.sin(2 * np.pi * FREQUENCY * times)
        return np.repeat(wave[:, None], 2, axis=1).astype(np.float32)


def loop_back(
    jack: JackServer,
    source: Callable[[int], Audio],
    seconds: float,
    act: Callable[[Output], None] = lambda output: None,
    target_rate: int = RATE,
) -> tuple[Audio, OutputStats, InputStats]:
    """Plays `source` through our output, a JACK cable and our input; `act` runs in the middle."""
    pieces: list[Audio] = []

    def keep(pcm: Audio) -> int:
        pieces.append(pcm)
        return len(pcm)

    output = Output(source, open_playout("system", buffer_ms=170))
    capture = Input(keep, "system", target_rate=target_rate)
    output.start()
    capture.start()
    try:
        # PortAudio counts its ports on from stream to stream, so they are found by their kind.
        sources = jack.ports(":out_", count=2)
        for channel, destination in enumerate(jack.ports(":in_", count=2)):
            jack.connect(f"system:capture_{channel + 1}", destination, on=False)
            jack.connect(sources[channel], destination)
        time.sleep(seconds / 2)
        act(output)
        time.sleep(seconds / 2)
    finally:
        capture.close()
        output.close()
    return np.concatenate(pieces), output.stats(), capture.stats()


def sounding(audio: Audio, rate: int) -> Audio:
    """Without the beginning (cables not yet plugged) and the end."""
    start = int(np.flatnonzero(np.abs(audio[:, 0]) > 1e-3)[0])
    return audio[start + rate // 4 :]


def residual(audio: Audio, rate: int) -> float:
    """Largest |x[n] - 2 cos w x[n-1] + x[n-2]|: 0 for an unbroken sine, ~its level at a jump."""
    x = audio[:, 0].astype(np.float64)
    return float(np.abs(x[2:] - 2 * np.cos(2 * np.pi * FREQUENCY / rate) * x[1:-1] + x[:-2]).max())


def frequency(audio: Audio, rate: int) -> float:
    """Least-squares frequency of a sine, Hz."""
    x = audio[:, 0].astype(np.float64)
    cosine = (x[1:-1] @ (x[2:] + x[:-2])) / (2 * x[1:-1] @ x[1:-1])
    return float(np.arccos(cosine) * rate / (2 * np.pi))


def under_load(jack: JackServer) -> tuple[Audio, OutputStats, InputStats]:
    """Eight seconds of the sine, four of them with two threads that never let go of Python."""
    stop = threading.Event()

    def burn() -> None:
        while not stop.is_set():
            sum(range(1000))

    busy = [threading.Thread(target=burn, daemon=True) for _ in range(2)]

    def act(output: Output) -> None:
        for thread in busy:
            thread.start()

    try:
        return loop_back(jack, Sine().read, seconds=8.0, act=act)
    finally:
        stop.set()
        for thread in busy:
            thread.join()


def test_sine_arrives_unbroken_under_two_busy_threads(jack: JackServer) -> None:
    """44.1 kHz source, 48 kHz device, other threads hungry for the interpreter: nothing is lost.

    Five attempts, since other programs may take the machine from JACK as well; a callback in Python
    would fail in each of them (a fifth of its blocks come late).
    """
    for _ in range(5):
        audio, played, captured = under_load(jack)
        heard = sounding(audio, RATE)
        if played.underruns == 0 and residual(heard, RATE) < 1e-3:  # no run of JACK's was lost
            break
    assert (played.underruns, played.starvations, played.device_lost) == (0, 0, False)
    assert (captured.overflows, captured.dropped_frames) == (0, 0)
    assert len(heard) > 6 * RATE
    assert residual(heard, RATE) < 1e-3
    assert frequency(heard, RATE) == pytest.approx(FREQUENCY, abs=0.05)
    assert np.abs(heard).max() == pytest.approx(0.5, rel=1e-2)


def test_loud_sound_is_limited_and_mute_is_quick(jack: JackServer) -> None:
    """Peak at most -1 dBFS on the wire; silence after the mute, although 170 ms were waiting."""

    def act(output: Output) -> None:
        output.set_mute(True)

    audio, played, _ = loop_back(jack, Sine(level=3.0).read, seconds=3.0, act=act)
    assert 0.8 < np.abs(audio).max() <= 10 ** (-1 / 20)
    assert (audio[-RATE:] == 0).mean() > 0.9
    assert played.starvations == 0


def test_input_is_resampled(jack: JackServer) -> None:
    """The same pitch at the model's own rate."""
    for _ in range(3):  # other programs may take the machine from us
        audio, played, captured = loop_back(jack, Sine().read, seconds=2.0, target_rate=44100)
        if played.device_xruns + captured.device_xruns == 0:
            break
    assert (captured.rate, captured.dropped_frames) == (RATE, 0)
    assert frequency(sounding(audio, 44100), 44100) == pytest.approx(FREQUENCY, abs=0.5)


def test_wire_peak_is_at_most_the_ceiling(jack: JackServer) -> None:
    draw = np.random.default_rng(0)

    def noise(count: int) -> Audio:
        return draw.normal(0, 4, (count, 2)).astype(np.float32)

    audio, _, _ = loop_back(jack, noise, seconds=2.0)
    assert 0.5 < np.abs(audio).max() <= 10 ** (-1 / 20)


def test_devices_on_jack(jack: JackServer) -> None:
    assert any(device.name == "system" for device in list_devices())
    assert choose_device("JACK", "output", list_devices()).rate == RATE
    with pytest.raises(InputError, match="does not open"):
        open_playout("system", buffer_ms=170, rate=44100)  # JACK has one rate
    playout = open_playout("system", buffer_ms=170)
    try:
        assert len(jack.ports("LMDM Live audio out:", 2)) == 2  # and not "PortAudio"
        assert [device.name for device in list_devices()] == ["system"]  # nor ourselves
    finally:
        playout.close()


def test_a_device_that_dies_comes_back(jack: JackServer) -> None:
    """The server is killed twice and comes back, once at another rate: time never stops."""
    pulled = [0]

    def silence(count: int) -> Audio:
        pulled[0] += count
        return np.zeros((count, 2), np.float32)

    said: list[str] = []
    output = Output(silence, open_playout("system", buffer_ms=170))
    keeper = DeviceKeeper(output, said.append)
    output.start()
    try:
        for rate in (RATE, 44100, RATE):
            began, at = pulled[0], time.monotonic()
            jack.kill()
            _until(lambda: output.stats().device_lost)
            assert output.stats().device == "no device"
            time.sleep(1.0)
            lost = time.monotonic() - at
            assert pulled[0] - began == pytest.approx(44100 * lost, abs=44100 * 0.35)
            jack.start(rate)
            returned = time.monotonic()
            _until(lambda: output.stats().device == "system")
            assert time.monotonic() - returned < 4.0  # 2 s on an idle machine: see docs/routing.md
            assert output.stats().rate == rate
            _until(lambda: "system" in [device.name for device in keeper.devices])
            _plays(output)
    finally:
        keeper.close()
        output.close()
    assert sum("is gone" in line for line in said) == 3


def test_an_input_that_dies_comes_back(jack: JackServer) -> None:
    """Silence in its time meanwhile."""
    captured: list[int] = []

    def keep(pcm: Audio) -> int:
        captured.append(len(pcm))
        return len(pcm)

    capture = Input(keep, "system")
    capture.start()
    try:
        _until(lambda: sum(captured) > 4410)
        jack.kill()
        _until(lambda: capture.stats().lost)
        before, at = sum(captured), time.monotonic()
        time.sleep(1.0)
        assert sum(captured) - before == pytest.approx(44100 * (time.monotonic() - at), abs=9000)
        jack.start()
        _until(lambda: not capture.stats().lost)
        before = sum(captured)
        _until(lambda: sum(captured) > before + 4410)
    finally:
        capture.close()


def test_another_device_that_is_not_there_is_told_and_the_sound_goes_on(jack: JackServer) -> None:
    said: list[str] = []
    output = Output(Sine().read, open_playout("system", buffer_ms=170))
    keeper = DeviceKeeper(output, said.append)
    output.start()
    try:
        keeper.select("theremin")
        _until(lambda: bool(said))
        assert said[0].startswith("no audio output device 'theremin': choose one of")
        keeper.select(None)
        _until(lambda: "playing through system at 48000 Hz" in said)
        _plays(output)
        assert not output.stats().device_lost
    finally:
        keeper.close()
        output.close()


def test_the_buffer_can_be_changed_while_playing(jack: JackServer) -> None:
    unmoved = OutputConfig(most_buffer_ms=0.0)  # it does not grow by itself on a busy machine
    output = Output(Sine().read, open_playout("system", buffer_ms=1000), unmoved)
    output.start()
    try:
        for wanted, shown in ((400.0, 400.0), (60.0, 60.0), (1.0, 31.7)):
            output.set_buffer_ms(wanted)
            time.sleep(0.6)
            stats = output.stats()
            assert stats.buffer_ms == pytest.approx(shown, abs=0.1)
            assert stats.latency_ms < stats.buffer_ms + 60.0
    finally:
        output.close()


class Heard:
    """Events that arrived, and devices that were lost."""

    def __init__(self) -> None:
        self.events: list[tuple[str, MidiEvent]] = []
        self.lost: list[str] = []

    @property
    def time(self) -> float:
        """When the last event arrived."""
        return self.events[-1][1].time

    def take(self, device: str, event: MidiEvent) -> None:
        self.events.append((device, event))


def test_midi_over_jack(jack: JackServer) -> None:
    """Virtual port, port by name, and its return after it vanished."""
    heard = Heard()
    sender = Keys(jack)
    ports = MidiPorts(heard.take, wanted="KEYS", lost=heard.lost.append)
    try:
        assert _sent(sender, heard, [0xB1, 7, 99]) == ControlChange(heard.time, 1, 7, 99)
        assert heard.events[-1][0] == "keys:out"
        assert 0 <= time.perf_counter() - heard.time < 10
        ports.select(None)
        _until(lambda: "keys:out" not in ports.names)
        jack.connect("keys:out", jack.ports("LMDM Live:in")[0])
        assert _sent(sender, heard, [0x90, 60, 100]) == NoteOn(heard.time, 0, 60, 100)
        assert _sent(sender, heard, [0x80, 60, 0]) == NoteOff(heard.time, 0, 60)
        assert heard.events[-1][0] == "virtual"
        ports.select("keys")
        for time_around in range(6):  # a JACK server that sees clients come and go loses count
            heard.lost.clear()
            sender.delete()
            _until(lambda: "keys:out" in heard.lost)
            sender = Keys(jack)
            _until(lambda: "keys:out" in ports.names)
            assert _sent(sender, heard, [0x92, 1, 9 + time_around]).velocity == 9 + time_around
        with pytest.raises(InputError, match="no MIDI input port 'theremin': choose one of keys"):
            ports.select("theremin")
        assert _sent(sender, heard, [0x92, 1, 0]) == NoteOff(heard.time, 2, 1)
    finally:
        ports.close()
        sender.delete()
    with pytest.raises(InputError, match=r"no MIDI input port .theremin.: choose one of"):
        MidiPorts(heard.take, wanted="theremin")


def test_midi_goes_out(jack: JackServer) -> None:
    """To a virtual port, and to a port by name that comes only later."""
    ports = MidiPorts(Heard().take)
    ports.open_output("drum")
    ports.open_output()
    dump = [subprocess.Popen(["jack_midi_dump", "-r", name], stdout=subprocess.PIPE, text=True)
            for name in ("drum machine", "recorder")]  # fmt: skip
    try:
        _until(lambda: "drum machine" in ports.outputs.get("drum", ""))
        jack.connect(jack.ports("LMDM Live out:out")[0], jack.ports("recorder:in")[0])
        for _ in range(3):
            ports.send(NoteOn(0.0, 3, 60, 5), "drum")
            ports.send(NoteOn(0.0, 4, 60, 5))
            time.sleep(0.2)
    finally:
        ports.close()
        said = [_ended(process) for process in dump]
    assert "93 3c 05" in said[0]
    assert "94 3c 05" in said[1]


def _ended(process: subprocess.Popen[str]) -> str:
    process.terminate()
    return process.communicate(timeout=10)[0]


def test_midi_survives_the_server(jack: JackServer) -> None:
    """Everything is there again when the server is; nothing has to be restarted."""
    heard = Heard()
    ports = MidiPorts(heard.take, lost=heard.lost.append)
    try:
        jack.ports("LMDM Live:in")
        jack.kill()
        _until(lambda: heard.lost == ["virtual"])
        jack.start()
        returned = time.monotonic()
        jack.ports("LMDM Live:in")
        assert time.monotonic() - returned < 4.0
        sender = Keys(jack)
        jack.connect(jack.ports("keys:out")[0], jack.ports("LMDM Live:in")[0])
        time.sleep(0.1)
        assert _sent(sender, heard, [0x90, 60, 100]) == NoteOn(heard.time, 0, 60, 100)
        sender.delete()
    finally:
        ports.close()


def _sent(sender: Keys, heard: Heard, message: list[int]) -> MidiEvent:
    before = len(heard.events)
    sender.send_message(message)
    _until(lambda: len(heard.events) > before)
    return heard.events[-1][1]


def _plays(output: Output) -> None:
    blocks = output.stats().blocks
    _until(lambda: output.stats().blocks > blocks + 50)


def _until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen within five seconds")
