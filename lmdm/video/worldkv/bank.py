"""The bank: every chunk's clean keys and values, each layer by itself, outside the window."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from lmdm.dit.layers import KeysValues
from lmdm.errors import InputError
from lmdm.weights import write_beside

PLACES = ("cpu", "gpu", "disk")


class MemoryBank:
    """Chunk number -> keys and values of every layer. Lengths may differ from chunk to chunk.

    cpu, gpu: held in that memory. disk: one safetensors file a chunk in `folder`, read when it is
    retrieved. Everything that is stored is copied.
    """

    def __init__(self, place: str = "cpu", folder: Path | None = None) -> None:
        """Raises InputError for a place that there is not here."""
        if place not in PLACES:
            raise InputError(f"there is no bank {place!r}; the banks are {', '.join(PLACES)}")
        if place == "gpu" and not torch.cuda.is_available():
            raise InputError("--bank gpu needs a CUDA device; take cpu or disk")
        if place == "disk" and folder is None:
            raise InputError("a bank on disk needs a folder")
        self.place, self.folder = place, folder
        self._held: dict[int, list[KeysValues]] = {}
        self.bytes = 0
        if folder is not None and place == "disk":
            folder.mkdir(parents=True, exist_ok=True)

    def __len__(self) -> int:
        """Chunks held."""
        return len(self._held) if self.place != "disk" else len(self._files())

    def store(self, chunk: int, layers: list[KeysValues]) -> None:
        """Keeps copies of a chunk's keys and values."""
        device = "cuda" if self.place == "gpu" else "cpu"
        copies = [(_copy(key, device), _copy(value, device)) for key, value in layers]
        self.bytes += sum(k.nbytes + v.nbytes for k, v in copies)
        if self.place != "disk":
            self._held[chunk] = copies
            return
        tensors = {
            f"{i}.{n}": x for i, kv in enumerate(copies) for n, x in zip("kv", kv, strict=True)
        }
        write_beside(self._file(chunk), lambda part: save_file(tensors, part))

    def fetch(self, chunk: int, device: torch.device | str = "cpu") -> list[KeysValues]:
        """A chunk's keys and values, of every layer.

        Raises:
            KeyError: it was never stored.
        """
        if self.place != "disk":
            return [(k.to(device), v.to(device)) for k, v in self._held[chunk]]
        path = self._file(chunk)
        if not path.exists():
            raise KeyError(chunk)
        tensors = load_file(path, device=str(device))
        return [(tensors[f"{i}.k"], tensors[f"{i}.v"]) for i in range(len(tensors) // 2)]

    def _file(self, chunk: int) -> Path:
        assert self.folder is not None
        return self.folder / f"chunk-{chunk:06d}.safetensors"

    def _files(self) -> list[Path]:
        assert self.folder is not None
        return sorted(self.folder.glob("chunk-*.safetensors"))


def _copy(tensor: Tensor, device: str) -> Tensor:
    """A tensor of its own memory, and of no more than that."""
    return tensor.detach().to(device).clone(memory_format=torch.contiguous_format)
