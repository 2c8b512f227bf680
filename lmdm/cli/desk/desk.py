"""Answers the messages of the desk and adds what it knows to the snapshots."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from lmdm.cli.desk.jobs import Jobs
from lmdm.cli.desk.presets import Presets
from lmdm.cli.desk.takes import takes_in
from lmdm.errors import InputError
from lmdm.live import messages as m
from lmdm.live.messages import Job, Message, ModelOffer, Snapshot
from lmdm.live.take import AUDIO_NAME

LOAD_SECONDS = 180.0  # until a model counts as one that cannot be loaded
DESK_MESSAGES = (
    m.LookAround, m.SelectModel, m.ExamineModel, m.SavePreset, m.LoadPreset, m.DeletePreset,
    m.PlayTake, m.StopTake, m.RenderTake, m.CancelJob,
)  # fmt: skip


class Played(Protocol):
    """What the desk needs of a performance."""

    def send(self, message: Message) -> None:
        """Takes a control."""

    def snapshot(self) -> Snapshot:
        """What the musician is shown."""


Instrument = TypeVar("Instrument", bound=Played)


class Desk(Generic[Instrument]):
    """Stands between the panel and a performance.

    Threads: `send` and `snapshot` from any thread, and return at once; a thread of the desk's own
    does what its messages ask. What goes wrong is told as a failed job.
    """

    def __init__(
        self,
        performance: Instrument,
        presets: Presets,
        takes: Path,
        reopen: Callable[[str], Instrument] | None = None,
    ) -> None:
        """`reopen` closes the performance and opens one with another model; None: it cannot."""
        self.performance = performance
        self._presets = presets
        self._folders = [takes]
        self._reopen = reopen
        self._jobs = Jobs()
        self._troubles: dict[str, Job] = {}
        self._models: dict[str, ModelOffer] = {}
        self._shown: dict[str, Any] = {"presets": (), "takes": ()}
        self._opening = ""  # the model that is being opened
        self._last = Snapshot()  # the newest of a performance that was open
        self._listening: tuple[str, subprocess.Popen[bytes]] | None = None
        self._muted_before = False
        self._asked: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="desk", daemon=True)
        self._thread.start()

    # --- what the panel calls -------------------------------------------------------------------

    def send(self, message: Message) -> None:
        """Takes a message: the desk's own are queued, the rest goes to the performance.

        Raises:
            InputError: as the performance's `send`.
        """
        if isinstance(message, DESK_MESSAGES):
            self._asked.put(message)
            if not isinstance(message, m.LookAround):  # for devices and ports as well
                return
        if isinstance(message, m.StartRecording) and message.folder:
            self._remember(Path(message.folder).parent)
        if not self._opening:
            self.performance.send(message)

    def snapshot(self) -> Snapshot:
        """The performance's snapshot with models, presets, takes and jobs."""
        base = self._base()
        listening = self._listening
        playing = listening[0] if listening is not None and listening[1].poll() is None else ""
        return replace(
            base,
            models=tuple(self._models.values()),
            jobs=(*self._jobs.all(), *self._troubles.values()),
            take_playing=playing,
            **self._shown,
        )

    def _base(self) -> Snapshot:
        """The performance's own; while another is being opened, as it stood, and that it loads."""
        opening = self._opening
        if not opening:
            self._last = self.performance.snapshot()
            return self._last
        progress = 0.0
        with contextlib.suppress(Exception):  # one is closed and the other not yet open
            progress = self.performance.snapshot().progress
        words = f"Loading {opening}"
        return replace(self._last, status="loading", text=words, model=opening, progress=progress)

    @property
    def opening(self) -> bool:
        """Whether one performance is closed and the next is not open yet."""
        return bool(self._opening)

    def close(self) -> None:
        """Ends jobs and listening."""
        self._asked.put(None)
        self._thread.join(timeout=5.0)
        self._jobs.close()
        if self._listening is not None:
            self._listening[1].terminate()

    # --- what the desk's thread does ------------------------------------------------------------

    def _run(self) -> None:
        self._look_around()
        while True:
            try:
                message = self._asked.get(timeout=0.2)
            except queue.Empty:
                self._listened()
                continue
            if message is None:
                return
            name = f"{m.kind_of(type(message))}"
            self._troubles.pop(name, None)
            try:
                self._do(message)
            except (InputError, OSError) as problem:
                self._troubles = {
                    **self._troubles, name: Job(name, str(problem), done=True, failed=True)
                }  # fmt: skip

    def _do(self, message: Message) -> None:
        if isinstance(message, m.LookAround):
            self._look_around()
            self._look_for_models()
        elif isinstance(message, m.SelectModel):
            self._select(message.model)
        elif isinstance(message, m.ExamineModel):
            self._examine(message.model)
        elif isinstance(message, m.SavePreset):
            self.performance.send(m.SaveScenes(str(self._presets.new_file(message.name))))
            self._look_around()
        elif isinstance(message, m.LoadPreset):
            self.performance.send(m.LoadScenes(str(self._presets.file(message.name))))
        elif isinstance(message, m.DeletePreset):
            self._presets.delete(message.name)
            self._look_around()
        elif isinstance(message, m.PlayTake):
            self._listen(Path(message.folder))
        elif isinstance(message, m.StopTake):
            self._stop_listening()
        elif isinstance(message, m.RenderTake):
            self._render(Path(message.folder), message.steps)
        elif isinstance(message, m.CancelJob):
            self._jobs.cancel(message.name)

    def _remember(self, folder: Path) -> None:
        if folder not in self._folders:
            self._folders = [*self._folders, folder]

    def _look_around(self) -> None:
        self._shown = {"presets": self._presets.all(), "takes": takes_in(self._folders)}

    # --- models ---------------------------------------------------------------------------------

    def _look_for_models(self) -> None:
        """Only when somebody looks: it needs a moment of a core that the engine may want."""
        if not self._models:
            name, words = "look for models", "Looking for models"
            self._jobs.start(name, words, ["models", "list"], self._listed)

    def _listed(self, rows: Any) -> str:
        for name in (row["name"] for row in rows if row.get("complete", True)):
            self._models = {name: ModelOffer(name, ""), **self._models}
            self._jobs.start(
                f"describe {name}", f"Reading {name}", ["models", "info", name], self._described
            )
        return f"{len(self._models)} models"

    def _described(self, facts: dict[str, Any]) -> str:
        name = str(facts["name"])
        says = f"{facts['parameters'] / 1e6:.1f} million parameters, {facts['bytes'] / 1e6:.0f} MB"
        offer = self._models.get(name, ModelOffer(name, ""))
        self._models = {**self._models, name: replace(offer, says=says)}
        return says

    def _examine(self, model: str) -> None:
        def judge(report: dict[str, Any]) -> str:
            factor = report["engine"].get("real_time_factor")
            fits = None if factor is None else factor < 1.0
            says = str(report["model"]["says"])
            offer = ModelOffer(model, says, str(report["verdict"]), fits)
            self._models = {**self._models, model: offer}
            return offer.verdict

        self._jobs.start(
            f"examine {model}", f"Measuring {model}", ["doctor", "--model", model], judge
        )

    def _select(self, model: str) -> None:
        """Changes the model; where the new one cannot be loaded, the former plays again."""
        if self._reopen is None:
            raise InputError("the model cannot be changed here; start lmdm live --model again")
        former = self.performance.snapshot().model
        self._opening = model
        try:
            self.performance = self._reopen(model)
            problem = self._loaded()
        except InputError as refused:
            problem = str(refused)
        if problem:
            self._opening = former
            self.performance = self._reopen(former)
        self._opening = ""
        if problem:
            raise InputError(f"{model} cannot be played: {problem}; {former} plays again")

    def _loaded(self) -> str:
        """Waits until a model is loaded; why it cannot be, empty when it is."""
        end = time.monotonic() + LOAD_SECONDS
        while time.monotonic() < end:
            snapshot = self.performance.snapshot()
            if snapshot.status == "failed":
                return snapshot.text or "it failed"
            if snapshot.status != "loading":
                return ""
            time.sleep(0.05)
        return f"it was not ready within {LOAD_SECONDS:.0f} s"

    # --- takes ----------------------------------------------------------------------------------

    def _listen(self, folder: Path) -> None:
        self._stop_listening()
        file = folder / AUDIO_NAME
        if not file.exists():
            raise InputError(f"there is no recording in {folder}")
        snapshot = self.performance.snapshot()
        self._muted_before = snapshot.muted
        if not snapshot.muted:
            self.performance.send(m.Mute(True))
        command = [sys.executable, "-m", "lmdm.cli.desk.listen", str(file)]
        process = subprocess.Popen(
            [*command, snapshot.device] if snapshot.device else command,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        self._listening = (str(folder), process)

    def _stop_listening(self) -> None:
        if self._listening is not None:
            self._listening[1].terminate()
            self._listening[1].wait()
            self._listened()

    def _listened(self) -> None:
        """When a take has been heard to its end, the live sound comes back."""
        if self._listening is None or self._listening[1].poll() is None:
            return
        (_, process), self._listening = self._listening, None
        if not self._muted_before:
            self.performance.send(m.Mute(False))
        if process.returncode == 1 and process.stderr is not None:
            told = process.stderr.read().decode(errors="replace").strip().split("\n")[-1]
            job = Job("play_take", told.removeprefix("lmdm: "), done=True, failed=True)
            self._troubles = {**self._troubles, "play_take": job}

    def _render(self, folder: Path, steps: int | None) -> None:
        name = f"render {folder}"
        quality = f"-{steps}" if steps is not None else ""
        file = folder / f"render{quality or '-again'}.wav"
        arguments = ["render", "--replay", str(folder), "--out", str(file)]
        if steps is not None:
            arguments += ["--steps", str(steps)]

        def told(_report: dict[str, Any]) -> str:
            self._asked.put(m.LookAround())
            return f"{folder.name} is rendered: {file.name}"

        words = f"Rendering {folder.name}" + (f" with {steps} steps" if steps is not None else "")
        self._jobs.start(name, words, arguments, told)
