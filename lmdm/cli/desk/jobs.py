"""Jobs: our own program in a process of its own, at low priority, with its progress."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from lmdm.live.messages import Job

PROGRESS = re.compile(rb"(\d+)%")
NICENESS = 15
KEPT = 8  # finished jobs that are still told

Finished = Callable[[dict[str, Any]], str]  # the job's JSON -> what to say of it


class Jobs:
    """What runs in the background, by name.

    Threads: every method may be called from any thread; each job is watched by one of its own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def all(self) -> tuple[Job, ...]:
        """Every job that runs, and the newest that ended."""
        with self._lock:
            return tuple(self._jobs.values())

    def runs(self, name: str) -> bool:
        """Whether a job of that name is under way."""
        with self._lock:
            return name in self._processes

    def start(self, name: str, text: str, arguments: Sequence[str], finished: Finished) -> None:
        """Runs `lmdm <arguments> --json`, unless a job of that name runs already."""
        with self._lock:
            if name in self._processes:
                return
            nice = ["nice", "-n", str(NICENESS)] if shutil.which("nice") else []
            self._jobs.pop(name, None)
            self._jobs[name] = Job(name, text)
            self._processes[name] = subprocess.Popen(
                [*nice, sys.executable, "-m", "lmdm", *arguments, "--json"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, "LMDM_PROGRESS": "1"},
            )
        threading.Thread(target=self._watch, args=(name, finished), daemon=True).start()

    def cancel(self, name: str) -> None:
        """Ends a job; nothing, if none of that name runs."""
        with self._lock:
            process = self._processes.get(name)
            if process is not None:
                self._jobs.pop(name, None)
        if process is not None:
            process.terminate()

    def close(self) -> None:
        """Ends every job."""
        with self._lock:
            names = list(self._processes)
        for name in names:
            self.cancel(name)

    def _watch(self, name: str, finished: Finished) -> None:
        process = self._processes[name]
        assert process.stdout is not None and process.stderr is not None
        said = b""
        out: list[bytes] = []
        reader = threading.Thread(target=lambda: out.append(process.stdout.read()), daemon=True)  # type: ignore[union-attr]
        reader.start()
        while piece := process.stderr.read1(4096):  # type: ignore[attr-defined]
            said = (said + piece)[-4096:]
            percents = PROGRESS.findall(piece)
            if percents:
                self._tell(name, progress=min(int(percents[-1]) / 100, 1.0))
        code = process.wait()
        reader.join()
        with self._lock:
            self._processes.pop(name, None)
        if code == 0:
            self._tell(name, text=_told(out, finished), progress=1.0, done=True)
        else:
            self._tell(name, text=_last_line(said), done=True, failed=True)
        with self._lock:
            ended = [each for each, job in self._jobs.items() if job.done]
            for each in ended[:-KEPT]:
                del self._jobs[each]

    def _tell(self, name: str, **changes: Any) -> None:
        with self._lock:
            if name in self._jobs:  # not cancelled
                self._jobs[name] = replace(self._jobs[name], **changes)


def _told(out: list[bytes], finished: Finished) -> str:
    try:
        return finished(json.loads(b"".join(out)))
    except (ValueError, KeyError, TypeError) as fault:
        return f"done, but its report cannot be read: {fault}"


def _last_line(said: bytes) -> str:
    lines = [line for line in said.decode(errors="replace").replace("\r", "\n").split("\n") if line]
    return lines[-1].removeprefix("lmdm: ") if lines else "it ended without a word"
