"""How long things take, and what they hold."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def milliseconds(work: Callable[[], object], device: str = "cpu") -> float:
    """What one call takes, until the device has finished it."""
    _wait(device)
    begun = time.perf_counter()
    work()
    _wait(device)
    return 1000.0 * (time.perf_counter() - begun)


def wall_and_processor(work: Callable[[], object], device: str = "cpu") -> tuple[float, float]:
    """Milliseconds that one call takes by the clock, and of this process's processors.

    The second says what a call costs where other programs take their share of the clock.
    """
    spent = time.process_time()
    wall = milliseconds(work, device)
    return wall, 1000.0 * (time.process_time() - spent)


def _wait(device: str) -> None:
    if device != "cpu":
        import torch

        torch.accelerator.synchronize()


def percentile(values: list[float], share: float) -> float:
    """The value below which a share (0..1) of the values lies; of few values, the nearest."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def peak_memory_mb(device: str = "cpu") -> float:
    """Largest memory so far in MiB: of the device, or resident of this process; 0 if unknown."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.max_memory_allocated() / (1024.0 * 1024.0)
    try:
        import resource
        import sys
    except ImportError:  # Windows
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024.0 * 1024.0) if sys.platform == "darwin" else peak / 1024.0


def hardware(device: str, threads: int) -> dict[str, Any]:
    """What a figure was measured on."""
    import torch

    name = platform.processor() or platform.machine()
    if device.startswith("cuda"):
        name = torch.cuda.get_device_name()
    elif Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((s.split(":")[1].strip() for s in lines if s.startswith("model name")), name)
    return {
        "device": device,
        "name": name,
        "cores": os.cpu_count() or 1,
        "threads": threads,
        "torch": torch.__version__,
        "bfloat16": torch.ops.mkldnn._is_mkldnn_bf16_supported() if device == "cpu" else True,
        "load_average": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }
