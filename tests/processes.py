"""Memory of a process and everything it started, as Linux shares it out."""

from __future__ import annotations

from pathlib import Path


def family(pid: int) -> list[int]:
    """The process and its descendants that live."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(c) for t in tasks for c in (t / "children").read_text().split()]
    except OSError:
        return []
    return [pid, *(each for child in children for each in family(child))]


def own_mb(pid: int) -> float:
    """What it holds itself, MiB: its heap, and its share of what it shares with its family.

    Pages of libraries are left out: they are anybody's who has them open, and so come and go with
    other programs.
    """
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    held = (line for line in lines if line.startswith(("Pss_Anon:", "Pss_Shmem:")))
    return sum(int(line.split()[1]) for line in held) / 1024


def named(pid: int) -> str:
    """What the process is, by its command line."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return "gone"
    return "tracker" if "resource_tracker" in words else "spawned" if "spawn" in words else "main"
