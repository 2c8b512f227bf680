"""A performance: engine, output, MIDI and take, joined. What GUI, terminal and timer drive."""

from __future__ import annotations

import os
import queue
import sys
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from audio_io.devices import sounddevice_module
from audio_io.meters import Meter
from audio_io.midi import MidiInput
from audio_io.output import Output
from audio_io.playout import ClockPlayout, Playout, open_playout
from lmdm.cli.midi_map import message_of
from lmdm.cli.take_recorder import TakeRecorder
from lmdm.errors import InputError
from lmdm.live.controls import Controls
from lmdm.live.messages import (
    AllNotesOff,
    Message,
    Mute,
    Panic,
    Quit,
    SetGain,
    SetLead,
    Snapshot,
    StartRecording,
    StopRecording,
)
from lmdm.live.player import SAMPLE_RATE, Player
from lmdm.live.ring import AudioRing
from lmdm.live.supervisor import Supervisor, failure
from lmdm.live.take import Applied, Held, TakeHeader, check_no_take, new_take_folder

RING_SECONDS = 12.0  # holds the deepest lead that SetLead allows
BUFFER_MS = 170.0
LOAD_TIMEOUT = 180.0


@dataclass(frozen=True)
class PerformanceSettings:
    """What a performance is opened with."""

    model: str
    controls: Controls
    lead: float = 1.5  # seconds
    threads: int = 0
    audio_device: str | None = None  # None: the default, or none if there is none
    midi_port: str | None = None  # None: a virtual port
    take: Path | None = None  # None: no take, unless there is no device
    buffer_ms: float = BUFFER_MS


class Performance:
    """Everything that plays.

    Threads: `open`, `wait_playing` and `close` belong to one thread. `send` and `snapshot` may be
    called from any thread and return at once. A forwarding thread takes MIDI to `send`, so that
    RtMidi's own thread never waits; a starting thread lets the sound begin when it is ready.
    """

    def __init__(self, settings: PerformanceSettings) -> None:
        self.settings = settings
        self.notices: list[str] = []  # what is missing here, one line each
        self.quitting = threading.Event()
        self._midi_events: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._history: list[Applied | Held] = []
        self._history_lock = threading.Lock()
        self._take: TakeRecorder | None = None
        self._last_take = ""
        self._gain_db, self._muted = 0.0, False
        self._playing = threading.Event()
        self._midi: MidiInput | None = None
        self._take_wanted = False
        self._problem: InputError | None = None
        self._silent_underruns = 0  # while the engine loaded: there was nothing to hear
        self._closed = False

    def open(self) -> None:
        """Opens device and MIDI, makes the take's folder and starts the engine; does not wait.

        Raises:
            InputError: a named device or port is not there, or the take's folder has a take.
        """
        settings = self.settings
        if settings.take is not None:
            check_no_take(settings.take)
        playout = self._open_playout()
        self._take_wanted = settings.take is not None or isinstance(playout, ClockPlayout)
        self._ring = AudioRing.create(round(RING_SECONDS * SAMPLE_RATE))
        self._player = Player(self._ring, channels=playout.channels, on_hold=self._held)
        self._meter = Meter(SAMPLE_RATE)
        self._player.add_tap(lambda pcm, _: self._meter.process(pcm))
        self.output = Output(self._player.read, playout)
        try:
            self._open_midi()
        except InputError:
            playout.close()
            self._ring.close()
            self._ring.unlink()
            raise
        self.supervisor = Supervisor(
            self._ring,
            settings.model,
            settings.controls,
            lead=settings.lead,
            threads=settings.threads,
            on_applied=self._applied,
            on_remark=self._remarked,
        )
        self.supervisor.start()
        self.output.start()
        threading.Thread(target=self._forward, name="midi forward", daemon=True).start()
        threading.Thread(target=self._begin, name="begin", daemon=True).start()

    def _open_playout(self) -> Playout:
        wanted, buffer_ms = self.settings.audio_device, self.settings.buffer_ms
        try:
            return open_playout(wanted, buffer_ms)
        except InputError as problem:
            if wanted is not None and _has_portaudio():
                raise
            self.notices.append(f"{problem}; playing to a file instead")
            return ClockPlayout(SAMPLE_RATE, round(SAMPLE_RATE * buffer_ms / 1000.0))

    def _open_midi(self) -> None:
        try:
            self._midi = MidiInput(self._midi_arrived, self.settings.midi_port)
        except InputError as problem:
            if self.settings.midi_port is not None:
                raise
            self.notices.append(str(problem))

    def _midi_arrived(self, event: Any) -> None:
        message = message_of(event)
        if message is not None:
            self._midi_events.put(message)

    def _forward(self) -> None:
        while (message := self._midi_events.get()) is not None:
            self.send(message)

    def _begin(self) -> None:
        if not self.supervisor.wait_ready(LOAD_TIMEOUT) or self._closed:
            return
        if self.supervisor.snapshot().status != "failed":
            try:
                if self._take_wanted:
                    self._start_take(new_take_folder(self.settings.take))
                self._silent_underruns = self._output_underruns()
                self._player.begin()
            except InputError as problem:  # the disk refuses the take
                self._problem = problem
        self._playing.set()

    def wait_playing(self) -> None:
        """Waits until the sound begins.

        Raises:
            InputError: the model cannot be loaded, by the user's mistake.
            RuntimeError: the engine failed.
        """
        if not self._playing.wait(LOAD_TIMEOUT):
            raise RuntimeError(f"the engine was not ready within {LOAD_TIMEOUT:.0f} s")
        self.check()

    def check(self) -> None:
        """Raises the engine's failure, if it has failed for good."""
        if self._problem is not None:
            raise self._problem
        if self.supervisor.snapshot().status == "failed":
            raise failure(self.supervisor)

    # --- controls ------------------------------------------------------------------------------

    def send(self, message: Message) -> None:
        """Does what a control message asks.

        Raises:
            InputError: a take cannot be recorded where it is asked for.
        """
        if isinstance(message, (SetGain, Mute, Panic)):
            self._instant(message)
        if isinstance(message, Panic):
            self.supervisor.send(AllNotesOff())
        elif isinstance(message, Quit):
            self.quitting.set()
        elif isinstance(message, StartRecording):
            self._stop_take()
            self._start_take(new_take_folder(Path(message.folder) if message.folder else None))
        elif isinstance(message, StopRecording):
            self._stop_take()
        elif message.lane == "block" or isinstance(message, SetLead):
            self.supervisor.send(message, heard=self._heard_position())

    def _instant(self, message: Message) -> None:
        if isinstance(message, SetGain):
            self._gain_db = message.gain_db
            self.output.set_gain_db(message.gain_db)
        else:
            self._muted = isinstance(message, Panic) or (isinstance(message, Mute) and message.on)
            self.output.set_mute(self._muted)
        buffered = round(self.output.stats().buffered_ms * SAMPLE_RATE / 1000.0)
        self._applied(Applied(max(0, self._player.position - buffered), message))

    def _heard_position(self) -> int:
        """The stream position whose sound reaches the ear now."""
        late = round(self.output.stats().latency_ms * SAMPLE_RATE / 1000.0)
        return self._ring.read_total - late

    # --- take ----------------------------------------------------------------------------------

    def _start_take(self, folder: Path) -> None:
        header = TakeHeader(
            model=self._model_path(),
            model_sha256=self.supervisor.model_sha256,
            controls=self.settings.controls,
            block_frames=self.supervisor.block_frames,
            versions=versions(),
        )
        with self._history_lock:
            self._take = TakeRecorder(folder, header, self._history)
        self._player.add_tap(self._take.hear)
        self._last_take = str(folder)

    def _model_path(self) -> str:
        path = Path(self.settings.model)
        return str(path.resolve()) if path.is_dir() else self.settings.model

    def _stop_take(self) -> None:
        take = self._take
        if take is None:
            return
        take.end()
        self.supervisor.settle()  # what was heard up to there is in the log
        with self._history_lock:
            self._take = None
        take.close()

    def _applied(self, entry: Applied) -> None:
        with self._history_lock:
            self._history.append(entry)
            take = self._take
        if take is not None:
            take.applied(entry)

    def _held(self, position: int, samples: int) -> None:
        with self._history_lock:
            last = self._history[-1] if self._history else None
            if isinstance(last, Held) and last.sample + last.samples == position:
                self._history[-1] = Held(last.sample, last.samples + samples)
            else:
                self._history.append(Held(position, samples))
            take = self._take
        if take is not None:
            take.held(position, samples)

    def _remarked(self, position: int, text: str) -> None:
        take = self._take
        if take is not None:
            take.remark(position, text)

    # --- looking -------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """Everything the musician is shown."""
        base, stats, take = self.supervisor.snapshot(), self.output.stats(), self._take
        heard = max(0, self._heard_position())
        behind = max(0, base.samples - heard) / SAMPLE_RATE
        text = base.text
        if take is not None and take.error is not None:
            text = take.error
        return replace(
            base,
            text=text,
            heard=heard,
            heard_beat=max(0.0, base.beat - behind * base.bpm / 60.0),
            device_ms=round(stats.latency_ms, 1),
            underruns=self._output_underruns() - self._silent_underruns + self._player.starvations,
            limiter_db=-stats.gain_reduction_db,
            level_db=_decibels(self._meter.rms),
            peak_db=_decibels(self._meter.peak),
            gain_db=self._gain_db,
            muted=self._muted,
            recording=str(take.folder) if take is not None else "",
            device=stats.device,
            midi=self._midi.port_name if self._midi is not None else "",
        )

    def _output_underruns(self) -> int:
        stats = self.output.stats()
        return stats.underruns + stats.starvations

    def add_listener(self, tap: Any) -> None:
        """Lets `tap(pcm, position)` hear the stream, in the output thread."""
        self._player.add_tap(tap)

    def close(self) -> dict[str, Any]:
        """Fades out and ends everything; returns the figures of the performance."""
        self._closed = True
        if self._midi is not None:
            self._midi.close()
        self._midi_events.put(None)
        self._stop_take()
        last = self.snapshot()  # before the device is closed, which is no underrun
        self.output.close()
        self.supervisor.stop()
        self._ring.close()
        self._ring.unlink()
        latency = last.latency["block"]
        measured = latency.count > 0
        return {
            "seconds": round(self._player.position / SAMPLE_RATE, 3),
            "underruns": last.underruns,
            "blocks": last.block,
            "real_time_factor": last.real_time_factor,
            "latency_ms": {
                "p50": latency.p50 if measured else None,
                "p95": latency.p95 if measured else None,
                "controls": latency.count,
                "device": last.device_ms,
            },
            "take": self._last_take or None,
            "restarts": last.restarts,
            "device": last.device,
            "midi": last.midi or None,
            "model": self.supervisor.model_name,
            "model_sha256": self.supervisor.model_sha256,
            "seed": last.seed,
            "notices": self.notices,
        }


def versions() -> dict[str, str]:
    """Versions of what computes the samples."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": ".".join(map(str, sys.version_info[:3])), "platform": sys.platform}
    for name in ("lmdm-live", "torch", "numpy", "onnxruntime"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "from source"
    found["cores"] = str(os.cpu_count())
    return found


def _has_portaudio() -> bool:
    try:
        sounddevice_module()
    except InputError:
        return False
    return True


def _decibels(amplitudes: tuple[float, ...]) -> tuple[float, float]:
    left, right = (20.0 * np.log10(max(each, 1e-6)) for each in (amplitudes * 2)[:2])
    return round(float(left), 1), round(float(right), 1)
