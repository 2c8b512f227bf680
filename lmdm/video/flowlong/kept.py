"""A long render's state on disk between two steps, so that a killed run goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from lmdm.errors import InputError
from lmdm.video.flowlong.sampler import StepReport, WindowState
from lmdm.weights import refuse_pickle, write_beside


def keep_state(path: Path, state: WindowState, settings: Mapping[str, Any]) -> None:
    """Writes a state and the settings it belongs to, beside and renamed."""
    tensors = {"windows": state.windows.detach().cpu().contiguous()}
    for name in ("timeline", "clean"):
        tensor = getattr(state, name)
        if tensor is not None:
            tensors[name] = tensor.detach().cpu().contiguous().clone()  # they may be one
    metadata = {
        "step": str(state.step),
        "reports": json.dumps([asdict(report) for report in state.reports]),
        "settings": json.dumps(dict(settings), sort_keys=True),
    }
    write_beside(path, lambda part: save_file(tensors, part, metadata))


def kept_state(path: Path, settings: Mapping[str, Any]) -> WindowState | None:
    """The state that `keep_state` wrote, or None where there is none.

    Raises:
        InputError: the file is damaged, or belongs to a render with other settings.
    """
    refuse_pickle(path)
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            names = set(file.keys())
            metadata = file.metadata() or {}
            windows = file.get_tensor("windows")
            timeline, clean = (
                file.get_tensor(name) if name in names else None for name in ("timeline", "clean")
            )
        theirs = json.loads(metadata["settings"])
        reports = tuple(StepReport(**each) for each in json.loads(metadata["reports"]))
        step = int(metadata["step"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as problem:
        raise InputError(f"{path} cannot be gone on from ({problem}); remove it") from None
    ours = json.loads(json.dumps(dict(settings)))
    for name in sorted(ours.keys() | theirs.keys()):
        if ours.get(name) != theirs.get(name):
            raise InputError(
                f"{path} belongs to a render with {name} {theirs.get(name)!r}, not "
                f"{ours.get(name)!r}; give the same settings to go on, or remove it"
            )
    return WindowState(step, windows, timeline, reports, clean)
