"""All-reduce between two gloo processes at the size of the starter's gradients.

    python -m tests.measure_gloo [MILLIONS OF PARAMETERS]

Prints the seconds of one all-reduce and the bandwidth that it comes to; for docs/distributed.md.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

TURNS = 7


def work(rank: int, meeting: str, parameters: int) -> None:
    """One of the two processes."""
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    gradients = torch.ones(parameters)
    times = []
    for _ in range(TURNS):
        begun = time.perf_counter()
        dist.all_reduce(gradients)
        times.append(time.perf_counter() - begun)
    if rank == 0:
        taken = median(times)
        print(f"{parameters / 1e6:.1f} M float32: {1000 * taken:.1f} ms, "
              f"{4 * parameters / taken / 1e9:.2f} GB/s of gradients")  # fmt: skip
    dist.destroy_process_group()


if __name__ == "__main__":
    count = round(1e6 * float(sys.argv[1] if len(sys.argv) > 1 else 17.0))
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(work, (str(Path(folder) / "meeting"), count), nprocs=2)
