"""The engine process: controls in, sound out. The only place where live playing meets torch.

The supervisor spawns `run`. The engine loads the model, says how far it is, then keeps `lead`
seconds of sound in the ring ahead of what is heard; a control takes back what is not committed
(`lmdm.live.horizon`). Before a block's sound is written its state is reported; the report counts
once the sound is in the ring. So after a crash at any instant the next engine goes on from the very
sample the ring ends with.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from statistics import median
from typing import TYPE_CHECKING, Any

from lmdm.errors import InputError
from lmdm.live import heap, wire
from lmdm.live.controls import Controls
from lmdm.live.governor import Governor
from lmdm.live.messages import (
    Message,
    Quantised,
    SetEconomy,
    SetGovernor,
    SetJamMode,
    SetLead,
    SetPrompts,
    from_dict,
    to_dict,
)
from lmdm.live.ring import AudioRing

if TYPE_CHECKING:
    from lmdm.live.block import Block
    from lmdm.live.horizon import Placed
    from lmdm.live.jam import Jam

HEARTBEAT_SECONDS = 0.05
JAM_SECONDS = 0.01  # the same while the live input is listened to
WARM_UP_WORDS = ("drums", "piano")
GOES_ON = (
    "this model hears no accompaniment: it goes on from what you play as if it had played it itself"
)
TIDY_SECONDS = 10.0  # between two times that free memory is given back
SPARE_SECONDS = 0.15  # with so much sound to spare, a control stops the block being made ahead


class InterruptedByControl(Exception):  # noqa: N818 -- nothing went wrong
    """A control has come while a block was made ahead."""


@dataclass(frozen=True)
class EngineSettings:
    """What an engine is started with."""

    model: str  # name or folder
    ring: str  # name of the shared-memory ring
    controls: Mapping[str, Any]  # JSON form of Controls
    lead: float = 1.5  # seconds generated ahead of what is heard
    threads: int = 0  # torch threads; 0: one on up to 2 cores, else half of them, at most 4
    device: str = "cpu"
    precision: str = "auto"  # of the weights, see `lmdm.checkpoints.load`
    rewinds: bool = True  # see `Horizon`
    input_ring: str = ""  # name of the live input's ring; empty: none
    light: str = ""  # file of a memorization light; empty: the model's own, if it has one

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {**asdict(self), "controls": dict(self.controls)}


def torch_threads(asked: int) -> int:
    """Threads for torch: as asked, else few enough to leave the audio path a core."""
    cores = os.cpu_count() or 1
    return asked if asked > 0 else max(1, min(4, cores // 2))


def run(pipe: Connection, values: Mapping[str, Any]) -> None:
    """Entry point of the spawned process. Ends when told to, or when the pipe closes.

    A user's mistake (an unknown model, a broken file) is reported as `failed` with its sentence;
    any other exception is reported likewise with its type, and the process ends with status 1.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's to handle
    try:
        Engine(pipe, EngineSettings(**values)).play()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except Exception as problem:  # the last word before this process ends
        mistake = isinstance(problem, InputError)
        text = str(problem) if mistake else failing(problem)
        with contextlib.suppress(OSError):
            wire.send(pipe, {"event": "failed", "text": text, "mistake": mistake})
        raise SystemExit(1) from (None if mistake else problem)


def failing(problem: Exception) -> str:
    """Why an engine fails, in one line for the musician."""
    first = (str(problem).strip() or "it says no more").splitlines()[0]
    if isinstance(problem, MemoryError) or type(problem).__name__ == "OutOfMemoryError":
        return f"the memory is full ({first}): close other programs, or choose a smaller model"
    return f"{type(problem).__name__}: {first}"


class Engine:
    """One model, one session, one ring.

    Threads: one; it waits on the pipe between blocks, so a control is read at once.
    """

    def __init__(self, pipe: Connection, settings: EngineSettings) -> None:
        self._pipe = pipe
        self._lead = settings.lead
        self._quit = False
        self._received = 0  # number of the newest control received
        self._number = 0  # of the newest that acts or waits for its boundary
        self._factors: deque[float] = deque(maxlen=32)
        self._tidied = time.perf_counter()
        self._report("loading", progress=0.1, text="loading torch")
        import torch

        from lmdm.checkpoints import load
        from lmdm.live.hearing import heard_kinds
        from lmdm.live.horizon import Horizon
        from lmdm.live.jam import InputTape, Jam
        from lmdm.live.listening import Listening
        from lmdm.live.session import Session
        from lmdm.live.session_light import SessionLight

        torch.set_num_threads(torch_threads(settings.threads))
        self._report("loading", progress=0.5, text=f"loading the model {settings.model}")
        model = load(settings.model, settings.device, settings.precision)
        self._ring = AudioRing.attach(settings.ring)
        self._session = Session(model, Controls.from_dict(settings.controls))
        self._governor = Governor(self._session.economies)
        self._horizon = Horizon(self._session, self._ring, self._report_block, settings.rewinds)
        self._listening = Listening(model)
        self._jam: Jam | None = None
        if settings.input_ring:
            self._jam = Jam(model, self._session, InputTape(AudioRing.attach(settings.input_ring)))
        self._light = SessionLight.of(model, self._session, settings.light)
        self._report("loading", progress=0.8, text="warming up")
        self._warm_up()
        self._report(
            "ready",
            model=model.name,
            sha256=model.sha256,
            block_samples=self._session.block_samples,
            block_frames=self._session.block_frames,
            context_frames=self._session.context_frames,
            delay_samples=self._session.delay_samples,
            steps=self._session.model_steps,
            latent_channels=self._session.latent_channels,
            heard_kinds=heard_kinds(model),
        )

    def _report(self, event: str, **values: Any) -> None:
        wire.send(self._pipe, {"event": event, **values})

    def _warm_up(self) -> None:
        """Generates blocks that nobody hears, after as much context as there can be.

        So the first heard one is on time, and so are the musician's first words: their encoder is
        loaded by then, and the horizon knows what new ones take.
        """
        session = self._session
        session.decoder.prepare()
        before = session.snapshot()
        like = session.stream.context.latents
        session.stream.prime(like.new_zeros(session.latent_channels, session.context_frames))
        for words in WARM_UP_WORDS:
            session.apply(SetPrompts(((words, 1.0),)))
            taken = self._timed_block()
        self._horizon.expect(SetPrompts, taken)
        self._horizon.took(self._timed_block())
        if self._jam is not None:
            self._jam.warm_up()
        session.restore(before)
        heap.settle()

    def _timed_block(self) -> float:
        begun = time.perf_counter()
        self._session.next_block()
        return time.perf_counter() - begun

    def play(self) -> None:
        """Waits for `go`, then generates until told to quit."""
        going = False
        while not self._quit and not going:
            request = wire.receive(self._pipe)
            if request["request"] == "go":
                going = True
                self._go(request)
            for _, message in self._controls([request]):
                self._session.apply(message)
            self._number = self._received
        while not self._quit:
            controls = self._controls(self._requests())
            if self._jam is not None:
                self._jam.tape.listen()
                sketched = self._jam.sketch(time.perf_counter())
                controls += [(self._number, message) for message in sketched]
            if controls:
                self._horizon.change(controls, time.perf_counter)
            elif self._due():
                self._extend()
            else:
                self._report("beat", **self._figures())
                jams = self._session.controls.jam_mode != "off"
                self._pipe.poll(JAM_SECONDS if jams else HEARTBEAT_SECONDS)
            self._number = self._received
        self._ring.close()

    def _requests(self) -> Iterator[dict[str, Any]]:
        while not self._quit and self._pipe.poll(0):
            yield wire.receive(self._pipe)

    def _controls(self, requests: Iterable[Mapping[str, Any]]) -> list[tuple[int, Message]]:
        """The numbered controls among requests; what else they ask for is done."""
        controls: list[tuple[int, Message]] = []
        for request in requests:
            if request["request"] == "quit":
                self._quit = True
            elif request["request"] == "input" and self._jam is not None:
                self._jam.tape.offset = request["offset"]
            elif request["request"] == "control":
                message = from_dict(request["message"])
                self._received = request["number"]
                if isinstance(message, SetLead):
                    self._lead = message.seconds
                elif isinstance(message, SetGovernor):
                    self._governor.on = message.on
                else:
                    controls += self._heard(message)
        return controls

    def _heard(self, message: Message) -> list[tuple[int, Message]]:
        """The control, its file heard if it names one; none if that cannot be."""
        inner = message.change if isinstance(message, Quantised) else message
        jams = isinstance(inner, SetJamMode) and inner.mode == "context"
        if jams and self._jam is not None and not self._jam.accompanies:
            self._report("notice", text=GOES_ON)
        try:
            change = self._listening.heard(inner)
        except InputError as problem:
            self._report("notice", text=str(problem))
            return []
        if isinstance(message, Quantised):
            change = Quantised(message.boundary, change)
        return [(self._received, change)]

    def _go(self, request: Mapping[str, Any]) -> None:
        if request.get("state") is not None:
            recent = wire.unpack(request["recent"])
            self._session.resume(request["state"], recent, request["skip"])

    def _due(self) -> bool:
        self._horizon.forget()
        if self._jam is not None:
            self._jam.reckon(self._ring.read_total, self._pressing())
            while self._jam.notices:
                self._report("notice", text=self._jam.notices.pop(0))
        lead = int(self._governor.lead(self._lead) * self._session.sample_rate)
        room = self._ring.writable >= 2 * self._session.block_samples
        if self._jam is not None and not self._jam.ready():  # what it is to hear has not come
            lead = min(lead, self._pressing())
        return self._horizon.ahead < lead and room

    def _pressing(self) -> int:
        """Samples ahead below which the next block must be made, whatever else there is to do."""
        seconds = SPARE_SECONDS + self._horizon.generation + self._horizon.at_worst
        return int(seconds * self._session.sample_rate)

    def _extend(self) -> None:
        self._govern()
        begun = time.perf_counter()
        if begun - self._tidied > TIDY_SECONDS:
            self._tidied = begun
            heap.give_back()
        if self._jam is not None and not self._session.fed:
            heard = self._jam.for_block(self._session.past)
            if heard is not None:
                self._session.apply(heard)
        with contextlib.suppress(InterruptedByControl):
            self._horizon.extend(time.perf_counter, self._look_up, begun)
            seconds = time.perf_counter() - begun
            self._factors.append(seconds * self._session.sample_rate / self._session.block_samples)
            self._governor.watch(time.perf_counter(), seconds, self._lead)

    def _govern(self) -> None:
        newest = list(self._factors)[-6:]
        factor = median(newest) if newest else 0.0
        ahead = self._horizon.ahead / self._session.sample_rate
        level = self._governor.decide(time.perf_counter(), factor, ahead, self._lead)
        if level != self._session.controls.economy:
            self._session.apply(SetEconomy(level))

    def _look_up(self) -> None:
        """Leaves a block that is not pressing when a control has come."""
        if self._horizon.ahead > self._pressing() and self._pipe.poll(0):
            raise InterruptedByControl

    def _report_block(
        self, block: Block, state: Mapping[str, Any], acting: Iterable[Placed]
    ) -> None:
        """Before its sound is in the ring, if ever: a control that came too late is tried again."""
        waited = [at for _, at in block.waited]
        placed = [[each.number, each.sample] for each in acting]
        figures = self._figures()
        figures["number"] = max([self._number, *(number for number, _ in placed)])
        self._light.hear(block.latents)
        self._report(
            "block",
            start=block.start,
            applied=[
                [each.sample, to_dict(each.message), each in waited] for each in block.applied
            ],
            latents=wire.pack(block.latents),
            state=state,
            placed=placed,
            remarks=list(block.remarks),
            **figures,
        )

    def _figures(self) -> dict[str, Any]:
        horizon = self._horizon
        return {
            "number": self._number,
            "real_time_factor": round(median(self._factors), 4) if self._factors else 0.0,
            "lead": self._lead,
            "generation": horizon.generation,
            "safe": horizon.safe,
            "horizon": max(0, horizon.first_change - self._ring.read_total),
            "waiting": [each.to_dict() for each in horizon.waiting()],
            "governor": self._governor.words(self._lead),
            "governor_level": self._governor.level,
            "governor_on": self._governor.on,
            "guard": self._jam.guard_db if self._jam is not None else 0.0,
            "undoable": self._session.history.depth(),
            "memorization": self._light.verdict(),
        }
