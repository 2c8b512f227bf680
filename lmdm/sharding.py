"""One process's share of items that many processes make into one folder.

Tools that keep every finished item in a file of its own need no communication: each of N processes
makes every N-th item, and the same command without a shard then finds all of them and reports.
`accelerate launch` and `torchrun` say in the environment which share is whose.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from lmdm.errors import InputError

MOST = 1_000_000
T = TypeVar("T")


@dataclass(frozen=True)
class Shard:
    """Share `number`, from 1, of `count`."""

    number: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """From "2/8". Raises InputError if it is no such share."""
        found = re.fullmatch(r"([0-9]{1,7})/([0-9]{1,7})", text)
        shard = cls(*map(int, found.groups())) if found is not None else None
        if shard is None or not 1 <= shard.number <= shard.count <= MOST:
            raise InputError(f"a shard is K/N with K from 1 to N, such as 2/8, not {text!r}")
        return shard

    @classmethod
    def of_this_process(cls) -> Shard:
        """What a launcher's environment says; the whole without one."""
        rank, count = os.environ.get("RANK", ""), os.environ.get("WORLD_SIZE", "")
        if not (rank.isdecimal() and count.isdecimal()):
            return cls()
        return cls.parse(f"{int(rank) + 1}/{count}")

    @property
    def whole(self) -> bool:
        """Whether there are no other shares."""
        return self.count == 1

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """Every `count`-th item; the shares of all numbers are all items, each once."""
        return items[self.number - 1 :: self.count]

    def said(self, made: int, what: str) -> dict[str, object]:
        """What a command that made only a share reports."""
        return {
            "shard": f"{self.number}/{self.count}",
            what: made,
            "next": "when all shards are done, the same command without --shard",
        }


WHOLE = Shard()


def several_on_processors() -> bool:
    """Whether this is one of several processes of a machine without GPUs.

    Accelerate has to be told: it takes each of them for the only one.
    """
    import torch

    return not (Shard.of_this_process().whole or torch.cuda.is_available())
