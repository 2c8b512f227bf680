"""Weights on disk: safetensors only, checked from the header before anything is allocated.

Nothing here can run code from a file. A file that is cut short, damaged or of another kind gives
one `InputError` that says which file, what is wrong with it, and what to do.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lmdm.errors import InputError

LONGEST_HEADER = 100_000_000  # bytes, the format's own limit
PICKLES = (".ckpt", ".pt", ".pth", ".bin", ".pkl")
BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "I16": 2, "I32": 4, "I64": 8,
    "F16": 2, "BF16": 2, "F32": 4, "F64": 8,
}  # fmt: skip


class TensorHeader(NamedTuple):
    """What a file says of one tensor."""

    dtype: str  # safetensors name, a key of BYTES
    shape: tuple[int, ...]


def refuse_pickle(path: Path) -> None:
    """Raises InputError if the file's name is that of a pickle."""
    if path.suffix.lower() in PICKLES:
        raise InputError(
            f"{path} is a pickle, which can run code when it is read; save its weights as "
            ".safetensors with the tool that made it, and give that file"
        )


def read_header(path: Path) -> dict[str, TensorHeader]:
    """Name -> dtype and shape of every tensor of a safetensors file; reads no weights.

    Raises:
        InputError: the file is missing, a pickle, not safetensors, cut short or damaged.
    """
    refuse_pickle(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > min(size - 8, LONGEST_HEADER):
                raise InputError(
                    f"{path} is not a whole safetensors file: its header is to take {length} "
                    f"bytes of {size}; copy or download it again"
                )
            header = json.loads(file.read(length).decode())
        header.pop("__metadata__", None)
        tensors = {name: _tensor_header(fields) for name, fields in header.items()}
        end = max((int(fields["data_offsets"][1]) for fields in header.values()), default=0)
    except OSError as problem:
        raise InputError(f"{path} cannot be read: {problem.strerror or problem}") from None
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as problem:
        if isinstance(problem, InputError):
            raise
        raise InputError(
            f"{path} has a damaged safetensors header; copy or download it again"
        ) from None
    if 8 + length + end != size:
        raise InputError(
            f"{path} has {size} bytes where its header promises {8 + length + end}; copy or "
            "download it again"
        )
    try:
        with safe_open(path, "pt"):  # the format's own reader is stricter, as with doubled names
            return tensors
    except (SafetensorError, OSError) as problem:
        raise InputError(f"{path} cannot be read ({problem}); copy or download it again") from None


def read_metadata(path: Path) -> dict[str, str]:
    """The free texts of a safetensors file.

    Raises:
        InputError: see `read_header`.
    """
    read_header(path)
    with safe_open(path, "pt") as file:
        return dict(file.metadata() or {})


def _tensor_header(fields: Mapping[str, object]) -> TensorHeader:
    """Raises ValueError, TypeError or KeyError unless dtype, shape and place agree."""
    dtype, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
    if not isinstance(dtype, str) or not isinstance(shape, list) or not isinstance(offsets, list):
        raise TypeError("not a tensor header")
    begin, end = (int(offset) for offset in offsets)
    dimensions = tuple(int(dimension) for dimension in shape)
    if begin < 0 or min(dimensions, default=0) < 0:
        raise ValueError("negative size")
    if end - begin != math.prod(dimensions) * BYTES[dtype]:
        raise ValueError("size and shape differ")
    return TensorHeader(dtype, dimensions)


def load_into(module: nn.Module, path: Path) -> None:
    """Fills every parameter and buffer of a module from a file of exactly those tensors.

    Floating point tensors are converted to the module's own dtype.

    Raises:
        InputError: a tensor is missing, unknown, of another shape, or not finite; or the file is
            not a whole safetensors file.
    """
    found = {name: tensor.shape for name, tensor in read_header(path).items()}
    _refuse_misfit(module, found, str(path), "config.json", lambda name: name)
    module.load_state_dict(_finite(read_tensors(path), str(path)), strict=True)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a safetensors file.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        return load_file(path)
    except (SafetensorError, OSError) as problem:
        raise InputError(f"{path} cannot be read ({problem}); copy or download it again") from None


def fill(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    source: str,
    config: str,
    named: Callable[[str], str] = lambda name: name,
) -> None:
    """Gives a module (which may be on the meta device) exactly these tensors, in float32.

    source, config: what sentences call the weights and what describes them. named: the name that a
    tensor has there.

    Raises:
        InputError: a tensor is missing, unknown, of another shape, or not finite.
    """
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    _refuse_misfit(module, found, source, config, named)
    _finite(tensors, source, named)
    precise = {
        name: tensor.float().contiguous() if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }
    module.load_state_dict(precise, strict=True, assign=True)


def _refuse_misfit(
    module: nn.Module,
    found: Mapping[str, tuple[int, ...]],
    source: str,
    config: str,
    named: Callable[[str], str],
) -> None:
    """Raises InputError unless these are the module's tensors and have its shapes."""
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    for name in sorted(expected.keys() - found.keys()):
        raise InputError(f"{source} lacks the tensor {named(name)!r} that {config} asks for")
    for name in sorted(found.keys() - expected.keys()):
        raise InputError(f"{source} has a tensor {named(name)!r} that {config} does not ask for")
    for name, shape in expected.items():
        if found[name] != shape:
            raise InputError(
                f"{source}: {named(name)!r} has shape {list(found[name])}, but {config} asks for "
                f"{list(shape)}"
            )


def _finite(
    tensors: Mapping[str, Tensor],
    source: str,
    named: Callable[[str], str] = lambda name: name,
) -> dict[str, Tensor]:
    """The same tensors, none of which holds infinities or NaN."""
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise InputError(
                f"{source}: {named(name)!r} holds values that are not finite; the file is spoilt"
            )
    return dict(tensors)


def save_module(module: nn.Module, path: Path, *, half: bool) -> None:
    """Writes every parameter and buffer of a module, beside and renamed.

    half: floating point tensors whose values fit are stored in 16 bits.
    """
    tensors = {
        name: (_half(tensor) if half else tensor).detach().cpu().clone().contiguous()
        for name, tensor in module.state_dict().items()
    }
    write_beside(path, lambda part: save_file(tensors, part, {"format": "pt"}))


def _half(tensor: Tensor) -> Tensor:
    """float16, unless the values are too large for it or the tensor is no floating point one."""
    if not tensor.is_floating_point():
        return tensor
    shorter = tensor.to(torch.float16)
    return shorter if bool(torch.isfinite(shorter).all()) else tensor


def write_beside(path: Path, write: Callable[[Path], object]) -> None:
    """Calls `write` with a name beside `path`, then renames: the file is whole or not there.

    Raises:
        OSError: it cannot be written (safetensors has an exception of its own for that).
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        write(part)
        os.replace(part, path)
    except SafetensorError as problem:
        raise OSError(f"{path} cannot be written: {problem}") from None
    finally:
        part.unlink(missing_ok=True)


def sha256(*paths: Path) -> str:
    """Hexadecimal SHA-256 of the files' bytes, one after another."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()
