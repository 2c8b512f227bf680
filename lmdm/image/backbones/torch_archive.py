"""Tensors out of one known file of PyTorch's first format, without running its pickle.

Such a file is five pickle streams and then raw numbers. The streams are taken apart by the standard
library's disassembler; a few of their opcodes are then followed as data: a name stays a string, a
"call" stays a tuple of what would be called and with what, and nothing is imported or called. An
opcode or a name beyond those few refuses the file.
"""

from __future__ import annotations

import hashlib
import io
import pickletools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lmdm.errors import InputError

PUSHED = {"BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE"}
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
IGNORED = {"PROTO", "STOP"}
DTYPES = {"torch.FloatStorage": "<f4", "torch.LongStorage": "<i8"}
MARK = object()


class Name(NamedTuple):
    """What a pickle would import."""

    name: str


class Call(NamedTuple):
    """What a pickle would call."""

    name: str
    arguments: tuple[Any, ...]


def read_tensors(path: str | Path, sha256: str) -> dict[str, Tensor]:
    """Name -> tensor (float32 or int64) of the file whose SHA-256 is known.

    Raises:
        InputError: the file is another one, or not of this format.
    """
    path = Path(path)
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise InputError(
            f"{path} is not the file that is known here (SHA-256 {sha256[:12]}...), and other "
            "pickles are not read; install the package again"
        )
    file = io.BytesIO(data)
    try:
        for _ in range(3):  # magic number, protocol, sizes of C types
            follow(file)
        state, keys = follow(file), follow(file)
        described = [call.arguments[0].arguments for call in state.values()]
        kinds = {key: kind.name for _, kind, key, *_ in described}
        storages = _storages(file, keys, kinds)
        return {name: _tensor(call, storages) for name, call in state.items()}
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as problem:
        raise InputError(f"{path} is not a PyTorch archive as expected: {problem}") from None


def follow(file: io.BytesIO) -> Any:
    """The value that one pickle stream describes, out of plain values, `Name` and `Call`."""
    stack: list[Any] = []
    memo: dict[Any, Any] = {}

    def since_mark() -> list[Any]:
        at = len(stack) - 1 - next(i for i, each in enumerate(reversed(stack)) if each is MARK)
        taken = stack[at + 1 :]
        del stack[at:]
        return taken

    for opcode, argument, _ in pickletools.genops(file):
        name = opcode.name
        if name in PUSHED:
            stack.append(argument)
        elif name in CONSTANTS:
            stack.append(CONSTANTS[name])
        elif name == "EMPTY_DICT":
            stack.append({})
        elif name == "EMPTY_LIST":
            stack.append([])
        elif name == "MARK":
            stack.append(MARK)
        elif name == "GLOBAL":
            stack.append(Name(str(argument).replace(" ", ".")))
        elif name in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name == "TUPLE":
            stack.append(tuple(since_mark()))
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            count = int(name[-1])
            stack[-count:] = [tuple(stack[-count:])]
        elif name == "APPENDS":
            values = since_mark()
            stack[-1].extend(values)
        elif name == "SETITEM":
            value, key = stack.pop(), stack.pop()
            stack[-1][key] = value
        elif name == "SETITEMS":
            values = since_mark()
            stack[-1].update(zip(values[::2], values[1::2], strict=True))
        elif name == "BINPERSID":
            stack.append(Call("storage", stack.pop()))
        elif name == "REDUCE":
            arguments, called = stack.pop(), stack.pop()
            stack.append(
                {} if called == Name("collections.OrderedDict") else Call(called.name, arguments)
            )
        elif name == "BUILD":  # attributes of the dictionary, such as its _metadata
            stack.pop()
        elif name not in IGNORED:
            raise ValueError(f"opcode {name} is not followed here")
    return stack[-1]


def _storages(file: io.BytesIO, keys: list[str], kinds: dict[str, str]) -> dict[str, Tensor]:
    """Key -> flat tensor: each is its count in 8 bytes, then so many numbers."""
    storages = {}
    for key in keys:
        count = int.from_bytes(file.read(8), "little")
        numbers = np.dtype(DTYPES[kinds[key]])
        values = np.frombuffer(file.read(count * numbers.itemsize), numbers)
        storages[key] = torch.from_numpy(values.copy())
    return storages


def _tensor(call: Call, storages: dict[str, Tensor]) -> Tensor:
    """What `_rebuild_tensor_v2(storage, offset, size, stride, ...)` would give."""
    storage, offset, size, stride = call.arguments[:4]
    return torch.as_strided(storages[storage.arguments[2]], size, stride, offset).clone()
