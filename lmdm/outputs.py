"""Whether results can go where they are wanted: asked before the work, which may take hours."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from lmdm.errors import InputError


def check_file(path: Path, suffixes: Sequence[str] = ()) -> Path:
    """Returns `path`, where a file with one of the suffixes (of any, if none) can be written.

    Raises:
        InputError: another suffix, a folder, or a place that takes no files.
    """
    if suffixes and path.suffix.lower() not in suffixes:
        raise InputError(f"{path} must end in {' or '.join(suffixes)}")
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file in it")
    if not path.parent.is_dir():
        raise InputError(f"the folder {path.parent} does not exist; make it first")
    _check_writable(path.parent)
    return path


def check_folder(path: Path) -> Path:
    """Returns `path`, a folder that takes files, or could be made; it is not made here.

    Raises:
        InputError: a file stands there or above, or nothing can be written.
    """
    there = next(each for each in (path, *path.absolute().parents) if each.exists())
    if not there.is_dir():
        raise InputError(f"{path} cannot be a folder: {there} is a file; choose another")
    _check_writable(there)
    return path


def make_folder(path: Path) -> Path:
    """Returns `path`, made a folder if need be.

    Raises:
        InputError: see `check_folder`.
    """
    check_folder(path).mkdir(parents=True, exist_ok=True)
    return path


def _check_writable(folder: Path) -> None:
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as problem:
        reason = problem.strerror or problem
        raise InputError(f"the folder {folder} cannot be written to: {reason}") from None
