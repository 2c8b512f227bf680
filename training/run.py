"""A run's folder: resolved config, environment, checkpoints, log, TensorBoard.

RUN/config.toml         every setting, defaults too
RUN/environment.json    one entry a start: command, versions, commit, processes, seed
RUN/checkpoints/        step-0000100.safetensors, the newest few
RUN/log.jsonl           one line of figures now and then
RUN/tensorboard/        the same, for `tensorboard --logdir RUN`
RUN/model/              what `lmdm live --model RUN/model` plays
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Generic, TypeVar

from lmdm.errors import InputError
from lmdm.weights import write_beside
from training import config as configs
from training.checkpoint import Checkpoints

Config = TypeVar("Config")
PACKAGES = ("torch", "numpy", "accelerate", "peft", "safetensors", "webdataset")


def open_config(
    cls: type[Config], folder: Path, file: Path | None, settings: list[str]
) -> tuple[Config, bool]:
    """The config of a run that begins or goes on, and whether it goes on.

    A run that goes on has the config of its folder; file and settings may repeat it, and change
    what is marked as changeable, such as the number of steps.

    Raises:
        InputError: a key is refused, or differs from the run's own.
    """
    own = folder / "config.toml"
    if not own.exists():
        if folder.is_file():
            raise InputError(f"{folder} is a file; a run needs a folder")
        return configs.read(cls, file, settings), False
    values = configs.read_toml(own)
    before = configs.from_values(cls, values)
    if file is not None:
        configs.merge(values, configs.read_toml(file))
    for setting in settings:
        configs.merge(values, configs.parse_setting(setting))
    config = configs.from_values(cls, values)
    for key, now, then in configs.differences(config, before):
        raise InputError(
            f"the run {folder} was begun with {key} = {then!r}, and now {key} = {now!r} is asked; "
            "give another --run, or leave the key as it was"
        )
    return config, True


class Run(Generic[Config]):
    """Writes to one run's folder. Only the main process does."""

    def __init__(self, folder: Path, config: Config, writes: bool, kept: int = 2) -> None:
        self.folder, self.config, self.writes = folder, config, writes
        self.checkpoints = Checkpoints(folder / "checkpoints", kept)
        self._tensorboard: Any = None

    def begin(self, facts: Mapping[str, Any]) -> None:
        """Write config and environment; `facts` go with the latter."""
        if not self.writes:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        text = configs.to_toml(self.config)
        write_beside(self.folder / "config.toml", lambda part: part.write_text(text))
        path = self.folder / "environment.json"
        starts = json.loads(path.read_text()) if path.exists() else []
        document = json.dumps([*starts, environment() | dict(facts)], indent=1) + "\n"
        write_beside(path, lambda part: part.write_text(document))

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """One line of log.jsonl, and the figures to TensorBoard."""
        if not self.writes:
            return
        rounded = {name: float(f"{value:.6g}") for name, value in figures.items()}
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps({"step": step, **rounded}) + "\n")
        if self._tensorboard is None:
            from torch.utils.tensorboard import SummaryWriter

            self._tensorboard = SummaryWriter(str(self.folder / "tensorboard"), purge_step=step)
        for name, value in figures.items():
            self._tensorboard.add_scalar(name, value, step)

    def forget_after(self, step: int) -> None:
        """Drop log lines past the step that a killed run goes on from."""
        path = self.folder / "log.jsonl"
        if self.writes and path.exists():
            lines = [line for line in path.read_text().splitlines() if _step_of(line) <= step]
            text = "".join(f"{line}\n" for line in lines)
            write_beside(path, lambda part: part.write_text(text))

    def close(self) -> None:
        """Flush TensorBoard."""
        if self._tensorboard is not None:
            self._tensorboard.close()
            self._tensorboard = None


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")  # a line that a kill cut short


def environment() -> dict[str, Any]:
    """Where and with what a run starts."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "commit": _commit(),
        "threads": os.environ.get("OMP_NUM_THREADS", ""),
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    try:
        here = Path(__file__).resolve().parent
        command = ["git", "-C", str(here), "describe", "--always", "--dirty"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() or "unknown"
