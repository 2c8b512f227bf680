"""A take's folder: `take.wav`, and `log.jsonl` from which the same samples can be made again.

`take.wav` is what was heard: the stream with wet level, filters, gain and mute, the live input as
loud as dry said, and the limiter; not the fades of pausing. `input.wav`, where there was a live
input, is what was heard beside the stream, sample for sample from the log's `input` line on.

The log's first line is the header: model and its hash, versions, settings, and where the recording
begins. Every further line is one control with the position (in samples since the session began) at
which it took effect: of the generated stream for what the model hears, of the heard sound for the
instant lane. The two differ by the `hold` lines: where no fresh sound was there and the last bars
looped. The log always starts with the session, also when the recording started later. Lines are
flushed as they are written, so a crash loses at most the last one; a torn last line is passed over
when the log is read.
"""

from __future__ import annotations

import itertools
import json
import queue
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from lmdm.errors import InputError
from lmdm.live.controls import Controls
from lmdm.live.messages import Message, SetEconomy, SetSteps, from_dict, to_dict

LOG_NAME = "log.jsonl"
AUDIO_NAME = "take.wav"
INPUT_NAME = "input.wav"
LOG_VERSION = 1
_LONGEST_LINE = 1 << 20
_QUALITY = (SetSteps, SetEconomy)


@dataclass(frozen=True)
class TakeHeader:
    """What a take was made with."""

    model: str  # name or path
    model_sha256: str
    controls: Controls  # at sample 0 of the stream
    block_frames: int  # latent frames a block
    versions: Mapping[str, str] = field(default_factory=dict)  # of what computes

    def to_dict(self) -> dict[str, object]:
        """The JSON form."""
        return {
            "lmdm_take": LOG_VERSION,
            "seed": self.controls.seed,
            "model": self.model,
            "model_sha256": self.model_sha256,
            "block_frames": self.block_frames,
            "versions": dict(self.versions),
            "settings": self.controls.to_dict(),
        }


@dataclass(frozen=True)
class Applied:
    """A control and the stream position, in samples, from which it took effect."""

    sample: int
    message: Message


@dataclass(frozen=True)
class Held:
    """From heard position `sample` on, the last bars looped for `samples`."""

    sample: int
    samples: int


@dataclass(frozen=True)
class Take:
    """A take as read from its folder."""

    header: TakeHeader
    controls: tuple[Applied, ...]
    holds: tuple[Held, ...]
    start: int  # heard position of the first sample of take.wav
    samples: int | None  # length of take.wav as the log's last line says; None after a crash
    input_start: int = 0  # heard position of the first sample of input.wav

    def with_samples(self, samples: int) -> Take:
        """The same take, `samples` long."""
        return replace(self, samples=samples)

    def with_steps(self, steps: int) -> Take:
        """The same performance in another quality: so many steps a block, and nothing given up."""
        kept = [each for each in self.controls if not isinstance(each.message, _QUALITY)]
        controls = replace(self.header.controls, steps=steps, economy=0)
        return replace(self, header=replace(self.header, controls=controls), controls=tuple(kept))


class TakeLog:
    """Writes `log.jsonl`.

    Threads: any thread may write; lines are queued, and the log's own thread touches the disk, each
    line flushed at once. If writing fails, `error` says why and further lines are dropped.
    """

    def __init__(self, folder: Path, header: TakeHeader, past: Iterable[str] = ()) -> None:
        """Creates the log. Raises InputError if it exists or cannot be made.

        past: texts of whole lines, told before any other (see `Past`).
        """
        self.error: str | None = None
        path = folder / LOG_NAME
        try:
            self._file = path.open("x", encoding="utf-8")
        except OSError as problem:
            raise InputError(f"cannot write the take log {path}: {problem.strerror}") from None
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        begin = itertools.chain([_line(header.to_dict())], past)
        self._thread = threading.Thread(
            target=self._run, args=(begin,), name="take log", daemon=True
        )
        self._thread.start()

    def _run(self, begin: Iterable[str]) -> None:
        try:
            with self._file as file:
                for text in itertools.chain(begin, iter(self._lines.get, None)):
                    file.write(text)
                    file.flush()
        except OSError as problem:
            self.error = f"the take log stopped: {problem.strerror}"

    def begin(self, sample: int) -> None:
        """Says at which heard position take.wav begins."""
        self._put(sample=sample, kind="begin")

    def begin_input(self, sample: int) -> None:
        """Says at which heard position input.wav begins."""
        self._put(sample=sample, kind="input")

    def write(self, entry: Applied | Held) -> None:
        """Adds one control or hold."""
        self._lines.put(line_of(entry))

    def note(self, sample: int, text: str) -> None:
        """Adds a remark, such as why an engine was replaced; a replay passes it over."""
        self._put(sample=sample, kind="remark", text=text)

    def close(self, samples: int) -> None:
        """Ends the log with the recording's length in samples."""
        self._put(kind="end", samples=samples)
        self._lines.put(None)
        self._thread.join()

    def _put(self, **values: object) -> None:
        self._lines.put(_line(values))


def line_of(entry: Applied | Held) -> str:
    """One control or hold as a line of the log."""
    if isinstance(entry, Held):
        return _line({"sample": entry.sample, "kind": "hold", "samples": entry.samples})
    return _line({"sample": entry.sample, **to_dict(entry.message)})


def _line(values: Mapping[str, object]) -> str:
    return json.dumps(values, ensure_ascii=False) + "\n"


def new_take_folder(path: Path | None) -> Path:
    """Makes the folder of a new take: `path`, or `takes/<date-time>` in the current folder.

    Raises:
        InputError: the folder holds a take already, or cannot be made.
    """
    now = time.strftime("%Y-%m-%d_%H-%M-%S")
    folder = path if path is not None else Path("takes") / now
    number = 1
    while path is None and folder.exists():
        number += 1
        folder = folder.with_name(f"{now}-{number}")
    check_no_take(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise InputError(f"the take folder {folder} cannot be made: {problem.strerror}") from None
    return folder


def check_no_take(folder: Path) -> None:
    """Raises InputError if a folder holds a take, or is no folder."""
    for name in (LOG_NAME, AUDIO_NAME):
        if (folder / name).exists():
            raise InputError(f"{folder} already holds a take ({name}); choose a new folder")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"the take folder {folder} is a file; choose a new folder")


def read_take(folder: Path) -> Take:
    """Reads the log of a take's folder.

    Raises:
        InputError: no log there, or a line that is not one of ours, named by its number.
    """
    path = folder / LOG_NAME
    try:
        with open(path, encoding="utf-8") as file:
            lines = list(_numbered_lines(file, path))
    except (OSError, UnicodeDecodeError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "it is not text"
        raise InputError(f"the take log {path} cannot be read: {reason}") from None
    if not lines:
        raise InputError(f"the take log {path} is empty")
    header = _header(lines[0][1], path)
    controls: list[Applied] = []
    holds: list[Held] = []
    start, samples, input_start = 0, None, 0
    for number, values in lines[1:]:
        place = f"{path}, line {number}"
        kind = values.get("kind")
        if kind == "remark":
            continue
        if kind == "end":
            samples = _count(values.get("samples"), f"{place}: samples")
            continue
        sample = _count(values.pop("sample", None), f"{place}: sample")
        if kind == "begin":
            start = sample
            continue
        if kind == "input":
            input_start = sample
            continue
        if kind == "hold":
            holds.append(Held(sample, _count(values.get("samples"), f"{place}: samples")))
            continue
        try:
            controls.append(Applied(sample, from_dict(values)))
        except InputError as problem:
            raise InputError(f"{place}: {problem}") from None
    return Take(header, tuple(controls), tuple(holds), start, samples, input_start)


def _numbered_lines(file: Iterable[str], path: Path) -> Iterable[tuple[int, dict[str, object]]]:
    for number, line in enumerate(file, start=1):
        if len(line) > _LONGEST_LINE:
            raise InputError(f"{path}, line {number} is too long for a take log")
        try:
            values = json.loads(line)
        except (json.JSONDecodeError, RecursionError):
            if not line.endswith("\n"):
                return  # the line a crash tore
            raise InputError(f"{path}, line {number} is not JSON") from None
        if not isinstance(values, dict):
            raise InputError(f"{path}, line {number} is not an object")
        yield number, values


def _header(values: Mapping[str, object], path: Path) -> TakeHeader:
    if values.get("lmdm_take") != LOG_VERSION:
        raise InputError(f"{path} is not a take log of version {LOG_VERSION}")
    settings, versions = values.get("settings"), values.get("versions", {})
    model, sha256 = values.get("model"), values.get("model_sha256")
    if not (isinstance(settings, dict) and isinstance(versions, dict)):
        raise InputError(f"{path}: the header lacks its settings")
    if not (isinstance(model, str) and isinstance(sha256, str)):
        raise InputError(f"{path}: the header lacks the model's name and hash")
    # takes that do not say it are older than projected guidance
    settings = {"guidance_parallel": 1.0, **settings}
    return TakeHeader(
        model=model,
        model_sha256=sha256,
        controls=Controls.from_dict(settings, source=f"{path}, header"),
        block_frames=_count(values.get("block_frames"), f"{path}: block_frames"),
        versions={str(name): str(version) for name, version in versions.items()},
    )


def _count(value: object, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InputError(f"{what} must be a whole number, not {value!r}")
    return value
