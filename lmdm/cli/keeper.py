"""Keeps scenes and the session on disk, and finds them at the next start."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from lmdm.errors import InputError
from lmdm.live import autosave
from lmdm.live.autosave import EVERY_SECONDS, Saved
from lmdm.live.scenes import SceneBank

SCENES_NAME, SESSION_NAME = "scenes.toml", "session.json"
Kept = TypeVar("Kept")


class Keeper:
    """Writes the session every two seconds, and scenes when they change.

    Threads: one of its own writes; `scenes` may be used from any thread with `lock` held.
    """

    def __init__(self, home: Path | None, say: Callable[[str], None] = lambda _: None) -> None:
        """`home`: the folder of both files; None keeps nothing. A damaged file is put aside.

        say: gets one line when the session cannot be written.
        """
        self.home, self._say = home, say
        self.lock = threading.Lock()
        self.notices: list[str] = []
        self.scenes = SceneBank()
        self.found: Saved | None = None  # the session before this one
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        if home is not None:
            self.scenes = self._read(home / SCENES_NAME, _scenes) or SceneBank()
            self.found = self._read(home / SESSION_NAME, autosave.read)

    def _read(self, path: Path, read: Callable[[Path], Kept]) -> Kept | None:
        try:
            return read(path)
        except InputError as problem:
            aside = path.with_name(f"{path.name}.damaged")
            path.replace(aside)
            self.notices.append(f"{problem}; it was put aside as {aside.name}")
            return None

    def begin(self, look: Callable[[bool], Saved | None]) -> None:
        """Writes what `look(ended)` sees from now on."""
        self._look = look
        if self.home is not None:
            self._thread = threading.Thread(target=self._run, name="autosave", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while not self._closing.wait(EVERY_SECONDS):
            self._write(ended=False)

    def _write(self, ended: bool) -> None:
        saved = self._look(ended)
        if saved is None or self.home is None:
            return
        try:
            saved.write(self.home / SESSION_NAME)
        except InputError as problem:
            if str(problem) not in self.notices:
                self.notices.append(str(problem))
                self._say(str(problem))

    def keep_scenes(self) -> None:
        """Scenes have changed. Raises InputError if they cannot be written."""
        if self.home is not None:
            with self.lock:
                self.scenes.write(self.home / SCENES_NAME)

    def close(self) -> None:
        """Notes that the session ended well."""
        if self._thread is not None:
            self._closing.set()
            self._thread.join()
            self._write(ended=True)


def _scenes(path: Path) -> SceneBank:
    return SceneBank.read(path) if path.exists() else SceneBank()
