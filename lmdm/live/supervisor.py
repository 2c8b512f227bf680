"""The engine's keeper, in the main process: starts it, listens for its heartbeat, replaces it.

The keeper holds everything a new engine needs to go on: the controls, the musical state and the
newest latents, as of the last block. A second engine stands by with its model loaded, so a dead or
stalled one is replaced within a fraction of a second; meanwhile the ring's lead plays out and the
player's hold loops the last bars.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from multiprocessing.connection import wait
from typing import Any

import numpy as np

from lmdm.errors import GoingOn, InputError
from lmdm.live import engine_reports, waiting, wire
from lmdm.live.autosave import Saved
from lmdm.live.clock import SAMPLE_RATE, MusicalClock
from lmdm.live.controls import Controls
from lmdm.live.engine import EngineSettings
from lmdm.live.engine_process import EngineProcess
from lmdm.live.glide import Glide
from lmdm.live.landings import Landings
from lmdm.live.ledger import Ledger, Report
from lmdm.live.messages import (
    Message,
    Quit,
    Resume,
    SetLead,
    SetStylePrompts,
    Snapshot,
    Status,
    UndoBars,
    to_dict,
)
from lmdm.live.player import ignore
from lmdm.live.ring import AudioRing
from lmdm.live.standby import Standby
from lmdm.live.take import Applied

STALL_SECONDS = 1.5  # no heartbeat for this long, and another engine stands by: it takes over
LONG_STALL_SECONDS = 8.0  # the same without another: a new one would take some seconds to load
STANDBY_AFTER = 3.0  # seconds of playing before another engine is loaded beside it
STANDBY_FACTOR = 0.7  # real-time factor above which the playing engine needs the machine for itself
LOAD_SECONDS = 120.0
FILL_SECONDS = 3.0  # an engine that has not filled the lead by then begins all the same
SHORT_LIFE = 10.0  # seconds of playing; an engine that fails sooner is part of a series
MOST_FAILURES = 5  # in such a series, however long engines take to load; then it is given up
POISON_FAILURES = 2  # of the engine's own, in such a series: a control is thought to be the cause
SETTLE_SECONDS = 1.0
OFFSET_SAMPLES = 44  # the live input's place is told anew when it has moved by a millisecond
MOST_IN_FLIGHT = 200  # controls sent and not yet read by the engine; more wait here, coalesced


# controls that a snapshot shows as the musician set them
_SHOWN = {each.name for each in fields(Controls)} & {each.name for each in fields(Snapshot)} - {
    "steps", "bpm", "style"
}  # fmt: skip


@dataclass(frozen=True)
class _Sent:
    number: int
    message: Message
    heard: int  # stream position heard when the musician acted


class Supervisor:
    """Keeps one engine playing.

    Threads: one watcher thread reads the pipes and replaces engines. `send`, `snapshot` and `stop`
    may be called from any thread and return at once. `on_applied` and `on_remark` are called from
    the watcher thread, in stream order.
    """

    def __init__(
        self,
        ring: AudioRing,
        model: str,
        controls: Controls,
        *,
        lead: float = 1.5,
        threads: int = 0,
        device: str = "cpu",
        precision: str = "auto",
        standby: bool = True,
        saved: Saved | None = None,
        rewinds: bool = True,
        input_ring: str = "",
        light: str = "",
        input_offset: Callable[[], int | None] = lambda: None,
        on_applied: Callable[[Applied], None] = ignore,
        on_remark: Callable[[int, str], None] = ignore,
        on_notice: Callable[[str], None] = ignore,
    ) -> None:
        """saved: a session to go on with, if the model is the same.

        input_ring: the live input's ring; input_offset() is the stream position of its sample 0.
        """
        self._input_offset = input_offset
        self._offset_told: int | None = None
        self._ring = ring
        self._saved = saved
        self.restored = ""  # what was gone on with, in words
        self._settings = EngineSettings(
            model,
            ring.name,
            controls.to_dict(),
            lead,
            threads,
            device,
            precision,
            rewinds,
            input_ring,
            light,
        )
        self._on_applied = on_applied
        self._on_notice = on_notice
        self._on_remark = on_remark
        self._lock = threading.Lock()
        self._engine: EngineProcess | None = None
        self._standby = Standby(self._spawn, standby)
        self._outbox: deque[_Sent] = deque()  # not yet sent
        self._in_flight: deque[_Sent] = deque()  # sent, not yet in a block
        self._unread = 0  # how many of those the engine has not read
        self._number = 0
        self._ledger = Ledger(ring, self._final, on_remark)
        self._failures = self._own_failures = 0  # of the present series; own: not killed, nor stuck
        self._replaced_at = self._began_at = 0.0
        self._landings = Landings()
        self._waiting: list[waiting.Waiting] = []
        self._clock: MusicalClock | None = None  # as the newest block left it
        self._glide = Glide()  # likewise
        self._snapshot = Snapshot(text="starting the engine")
        self._controls = controls
        self._ready = threading.Event()
        self._stopping = False
        self._went = False  # whether there has been a first block
        self._went_at = 0.0
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self.model_name = model
        self.model_sha256 = ""
        self.block_frames = 0
        self._model_steps = 0
        self.mistake = False  # whether a failure was the user's (an unknown model, a broken file)

    # --- for any thread -------------------------------------------------------------------------

    def start(self) -> None:
        """Spawns the engine; returns at once. `wait_ready` tells when it plays."""
        self._engine = self._spawn()
        self._thread.start()

    def wait_ready(self, timeout: float) -> bool:
        """Waits until the first sound is in the ring, or the engine has failed."""
        return self._ready.wait(timeout)

    def send(self, message: Message, heard: int | None = None) -> None:
        """Hands a control to the engine. `heard`: the stream position heard at this moment.

        Raises:
            InputError: a `SetControls` whose settings are not controls.
        """
        if isinstance(message, Quit):
            return
        with self._lock:
            self._controls = self._controls.after(message)
            self._number += 1
            if isinstance(message, SetLead):
                self._settings = replace(self._settings, lead=message.seconds)
            at = self._ring.read_total if heard is None else heard
            if self._outbox and message.supersedes(self._outbox[-1].message):
                self._outbox.pop()
            self._outbox.append(_Sent(self._number, message, at))
            self._pump()

    def snapshot(self) -> Snapshot:
        """What the engine last said, with what the musician has asked for since."""
        with self._lock:
            controls, heard = self._controls, self._ring.read_total
            shown = {name: getattr(controls, name) for name in _SHOWN}
            return replace(
                self._snapshot,
                **shown,
                lead_ms=1000.0 * self._ring.readable / SAMPLE_RATE,
                heard=heard,
                steps=controls.steps or self._model_steps,
                gliding=self._glide.share(self.beat(heard)),
                style_text=", ".join(text for text, _ in controls.style),
                latency=self._landings.lanes(),
                control_latency=self._landings.kinds(),
                landed=self._landings.markers(),
                waiting=waiting.shown(self._waiting, self._clock, heard) if self._clock else (),
            )

    def beat(self, sample: int) -> float:
        """The musical position of a stream position near what is heard."""
        return self._clock.beat(sample) if self._clock is not None else 0.0

    def controls(self) -> Controls:
        """As the musician has set them, acting or about to."""
        with self._lock:
            return self._controls

    def landed_at(self, kind: str) -> int:
        """Stream position at which the newest control of a kind acts; 0 if there was none."""
        with self._lock:
            return self._landings.last_at(kind)

    def settle(self) -> None:
        """Tells `on_applied` of every control that has been heard by now.

        Waits for the engine's word that it is final, a few hundredths of a second.
        """
        heard, end = self._ring.read_total, time.monotonic() + SETTLE_SECONDS
        while self._engine is not None and self._ledger.safe < heard and time.monotonic() < end:
            time.sleep(0.005)
        self._ledger.settle()

    def remembered(self) -> tuple[Mapping[str, Any], np.ndarray] | None:
        """State and newest latents of what was heard, from which a session can go on."""
        state, recent = self._ledger.state(), self._ledger.recent()
        return None if state is None or recent is None else (state, recent)

    @property
    def process_id(self) -> int | None:
        """The playing engine's process id."""
        engine = self._engine
        return engine.process.pid if engine is not None else None

    def standby_ready(self) -> bool:
        """Whether an engine stands by with its model loaded."""
        return self._standby.ready

    def stop(self) -> None:
        """Ends the engines; returns when they are gone (at most about two seconds)."""
        self._stopping = True
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(2.0)
        for each in (self._engine, self._standby.take()):
            if each is not None:
                each.end(0.5)
                each.pipe.close()
        self._engine = None
        self._ledger.settle(final=True)
        self._tell("stopped", "stopped")

    # --- the watcher thread ---------------------------------------------------------------------

    def _spawn(self) -> EngineProcess:
        return EngineProcess(self._settings)

    def _watch(self) -> None:
        going_on = GoingOn("the engine's keeper", self._on_notice)
        while not self._stopping and self._engine is not None:
            with going_on:
                self._turn(self._engine)

    def _turn(self, playing: EngineProcess) -> None:
        engines = [each for each in (playing, self._standby.engine) if each is not None]
        wait([each.pipe for each in engines], timeout=0.05)
        for each in engines:
            self._listen(each)
        self._land()
        self._ledger.settle()
        with self._lock:
            self._pump()
            self._tell_offset()
        self._check_standby()
        self._check_engine()

    def _listen(self, engine: EngineProcess) -> None:
        try:
            while engine.pipe.poll(0):
                values = wire.receive(engine.pipe)
                engine.last_beat = time.monotonic()
                self._hear(engine, values)
        except (EOFError, OSError):
            pass  # it is dead; _check_engine sees that

    def _hear(self, engine: EngineProcess, values: dict[str, Any]) -> None:
        event = values["event"]
        playing = engine is self._engine
        if event == "ready":
            engine.ready, engine.facts = True, values
            if playing:
                self._go(engine)
        elif event == "failed" and playing:
            self.mistake = bool(values["mistake"]) and not engine.ready
            engine.last_words = str(values["text"])
            self._tell("failed" if self.mistake else "restarting", engine.last_words)
        elif event == "loading" and playing and not self._went:
            self._tell("loading", str(values["text"]), progress=float(values["progress"]))
        elif event == "notice" and playing:
            self._on_notice(str(values["text"]))
        elif event == "beat":
            self._hear_figures(values)
            if self._went:
                self._ready.set()  # it rests, so the whole lead is in the ring
        elif event == "block" and playing:
            self._ledger.add(values)
            self._hear_figures(values)
            self._hear_block(values, engine)

    def _go(self, engine: EngineProcess) -> None:
        """Lets a loaded engine play, from the last known state if there is one."""
        self._began_at = time.monotonic()
        self.model_name, self.model_sha256 = engine.facts["model"], engine.facts["sha256"]
        self.block_frames, self._model_steps = engine.facts["block_frames"], engine.facts["steps"]
        self._ledger.delay_samples = engine.facts["delay_samples"]
        self._ledger.context_frames = engine.facts["context_frames"]
        request: dict[str, Any] = {"request": "go"}
        place = self._ledger.place()
        if place is not None:
            recent = wire.pack(place.recent)
            request |= {"state": place.state, "recent": recent, "skip": place.skip}
        with self._lock:
            try:
                if place is None:
                    self._restore(engine)
                wire.send(engine.pipe, request)
            except OSError:
                return
            if self._own_failures >= POISON_FAILURES and place is not None and self._in_flight:
                self._in_flight.clear()
                self._controls = Controls.from_dict(place.state["controls"])
                self._on_notice("engines failed over what was asked for last: it is left out")
            # what the dead engine had not put into a block goes to this one, oldest first
            self._outbox.extendleft(reversed(self._in_flight))
            self._in_flight.clear()
            self._unread = 0
            self._pump()

    def _restore(self, engine: EngineProcess) -> None:
        """Has the engine begin where a kept session stood, by controls, which a take keeps."""
        saved, self._saved = self._saved, None
        if saved is None or saved.model_sha256 != engine.facts["sha256"]:
            return
        self.restored = saved.in_words()
        for message in saved.beginning():
            self._number += 1
            request = {"request": "control", "number": self._number, "message": to_dict(message)}
            wire.send(engine.pipe, request)

    def _pump(self) -> None:
        """Sends what waits, as far as the engine keeps up. Call with the lock held."""
        engine = self._engine
        if engine is None or not engine.ready:
            return
        while self._outbox and self._unread < MOST_IN_FLIGHT:
            sent = self._outbox[0]
            request = {
                "request": "control",
                "number": sent.number,
                "message": to_dict(sent.message),
            }
            try:
                wire.send(engine.pipe, request)
            except OSError:
                return
            self._in_flight.append(self._outbox.popleft())
            self._unread += 1

    def _tell_offset(self) -> None:
        """Tells the engine where the live input lies. Call with the lock held."""
        engine, offset = self._engine, self._input_offset()
        if engine is None or not engine.ready:
            self._offset_told = None
        elif offset is not None and (
            self._offset_told is None or abs(offset - self._offset_told) > OFFSET_SAMPLES
        ):
            with contextlib.suppress(OSError):
                wire.send(engine.pipe, {"request": "input", "offset": offset})
                self._offset_told = offset

    def _hear_figures(self, values: Mapping[str, Any]) -> None:
        with self._lock:
            self._unread = sum(each.number > values["number"] for each in self._in_flight)
            self._ledger.safe = int(values["safe"])
            self._waiting = [waiting.Waiting.from_dict(each) for each in values["waiting"]]
            self._snapshot = replace(
                self._snapshot,
                **engine_reports.figures(values),
                committed=self._ring.read_total + int(values["horizon"]),
                model=self.model_name,
            )

    def _hear_block(self, values: Mapping[str, Any], engine: EngineProcess) -> None:
        state = values["state"]
        with self._lock:
            self._clock = MusicalClock.from_dict(state["clock"])
            self._glide = Glide.from_dict(state["glide"])
            shown = engine_reports.block(state, engine.facts, self._clock)
            self._snapshot = replace(self._snapshot, **shown)
        if not self._went or self._snapshot.status != "playing":
            self._tell("playing", "playing")
        if not self._went:
            self._went_at = time.monotonic()
        self._went = True
        if time.monotonic() - self._went_at > FILL_SECONDS:
            self._ready.set()  # too slow ever to fill the lead: play what there is

    def _land(self) -> None:
        """Measures how soon the controls of blocks that have come into the ring are heard."""
        for report in self._ledger.landed():
            placed = dict(report.values["placed"])
            with self._lock:
                while self._in_flight and self._in_flight[0].number <= report.values["number"]:
                    sent = self._in_flight.popleft()
                    if sent.number in placed:
                        self._landings.landed(sent.message, sent.heard, placed[sent.number])
                for index in report.waited:
                    each = report.applied[index]
                    if self._clock is not None:
                        self._landings.quantised(each.message, each.sample, self._clock)

    def _final(self, applied: Applied, report: Report, waited: bool) -> None:
        """A control has been heard."""
        told = waited or isinstance(applied.message, SetStylePrompts)  # by the engine, not by hand
        if told or isinstance(applied.message, (UndoBars, Resume)):
            then = Controls.from_dict(report.values["state"]["controls"])
            with self._lock:
                self._controls = self._controls.after(applied.message) if told else then
        self._on_applied(applied)

    def _check_standby(self) -> None:
        now = time.monotonic()
        rested = now - max(self._went_at, self._replaced_at)
        easy = self._snapshot.real_time_factor < STANDBY_FACTOR
        self._standby.check(now, self._ready.is_set() and rested > STANDBY_AFTER and easy)

    def _check_engine(self) -> None:
        engine = self._engine
        assert engine is not None
        limit = STALL_SECONDS if self.standby_ready() else LONG_STALL_SECONDS
        limit += 2 * self._snapshot.block_ms / 1000.0
        if not engine.ready:
            limit = LOAD_SECONDS
        silent = time.monotonic() - engine.last_beat
        if not engine.process.is_alive():
            self._listen(engine)  # its last words
            self._land()
            self._replace(f"the engine ended ({engine.ending()})")
        elif silent > limit:
            self._replace(f"the engine gave no sign of life for {silent:.1f} s")

    def _replace(self, reason: str) -> None:
        """Puts the standby, or a new engine, in the place of the playing one."""
        old = self._engine
        assert old is not None
        old.end(0.5 if self._stopping else 0.0)
        self._listen(old)  # its last words: without them the ring would be ahead of the state
        old.pipe.close()
        self._land()
        said, now = old.last_words or reason, time.monotonic()
        lasted = old.ready and now - self._began_at > SHORT_LIFE
        self._failures, self._replaced_at = 1 if lasted else self._failures + 1, now
        self._own_failures = (0 if lasted else self._own_failures) + bool(old.last_words)
        if self._snapshot.status == "failed" or self._failures > MOST_FAILURES:
            self._engine = None
            self._tell("failed", said if self.mistake else f"{said}, again and again")
            self._ready.set()
            return
        text = f"{said}; a new one goes on from its last block"
        self._tell("restarting", text)
        self._on_remark(self._ring.written_total, text)
        self._engine = self._standby.take() or self._spawn()
        self._engine.last_beat = time.monotonic()
        with self._lock:
            self._snapshot = replace(self._snapshot, restarts=self._snapshot.restarts + 1)
        if self._engine.ready:
            self._go(self._engine)

    def _tell(self, status: Status, text: str, progress: float = 1.0) -> None:
        with self._lock:
            self._snapshot = replace(self._snapshot, status=status, text=text, progress=progress)


def failure(supervisor: Supervisor) -> Exception:
    """The exception of a supervisor whose status is `failed`."""
    text = supervisor.snapshot().text
    return InputError(text) if supervisor.mistake else RuntimeError(text)
