"""What supervisor and engine say to each other: JSON objects over a pipe, never pickles.

An object with arrays carries them as base64 of little-endian float32 with their shape.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from lmdm.errors import InputError


def send(pipe: Connection, values: Mapping[str, Any]) -> None:
    """Sends one JSON object. Raises OSError when the other end is gone."""
    pipe.send_bytes(json.dumps(values, separators=(",", ":")).encode())


def receive(pipe: Connection) -> dict[str, Any]:
    """The next JSON object. Raises EOFError or OSError when the other end is gone."""
    values = json.loads(pipe.recv_bytes())
    assert isinstance(values, dict)
    return values


def pack(array: np.ndarray) -> dict[str, Any]:
    """The JSON form of a float32 array."""
    plain = np.ascontiguousarray(array, dtype="<f4")
    return {"shape": list(plain.shape), "data": base64.b64encode(plain.tobytes()).decode()}


def unpack(values: Mapping[str, Any]) -> np.ndarray:
    """The float32 array of a JSON form."""
    data = np.frombuffer(base64.b64decode(values["data"]), dtype="<f4")
    return data.reshape(values["shape"]).astype(np.float32)


def text_of(array: np.ndarray) -> str:
    """Base64 of an array as little-endian float32, for a message; `array_of` reads it."""
    return base64.b64encode(np.ascontiguousarray(array, dtype="<f4").tobytes()).decode()


def array_of(text: str, rows: int) -> np.ndarray:
    """[rows, n] of a text made by `text_of`. Raises InputError if it is no such text."""
    try:
        values = np.frombuffer(base64.b64decode(text, validate=True), dtype="<f4")
        return values.reshape(rows, -1).astype(np.float32)
    except ValueError:
        raise InputError(f"{text[:20]!r} is not base64 of {rows} rows of float32") from None
