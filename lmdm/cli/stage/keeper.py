"""Keeps scenes and the session on disk, and finds them at the next start."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from lmdm.cli.takes import mend
from lmdm.errors import GoingOn, InputError
from lmdm.live import autosave
from lmdm.live import messages as m
from lmdm.live.autosave import EVERY_SECONDS, Saved
from lmdm.live.controls import Controls
from lmdm.live.messages import Message
from lmdm.live.scenes import SceneBank

SCENES_NAME, SESSION_NAME = "scenes.toml", "session.json"
SCENE_MESSAGES = (
    m.StoreScene, m.DeleteScene, m.SaveScenes, m.LoadScenes, m.RecallScene, m.RecallSceneNumber
)  # fmt: skip
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

    def wanted(self, restore: bool | None, model: str) -> Saved | None:
        """The session before this one, if there is one and it is to be gone on with.

        What there is to say of it comes to the notices. restore: whether the musician wants that;
        None: if it broke off. model: that it must have been played with.
        """
        found = self.found
        if found is not None and found.take and not found.ended:
            self.notices += filter(None, [mend(Path(found.take))])
        if found is None or restore is False or (restore is None and found.ended):
            return None
        if found.model != model:
            self.notices.append(f"{found.in_words()} was played with {found.model}: not restored")
            return None
        self.notices.append(f"going on with {found.in_words()}; --fresh starts anew")
        return found

    def begin(self, look: Callable[[bool], Saved | None]) -> None:
        """Writes what `look(ended)` sees from now on."""
        self._look = look
        if self.home is not None:
            self._thread = threading.Thread(target=self._run, name="autosave", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        going_on = GoingOn("keeping the session", self._say)
        while not self._closing.wait(EVERY_SECONDS):
            with going_on:
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

    def do(self, message: Message, controls: Controls) -> Message | None:
        """Does what one of SCENE_MESSAGES asks; a recalled scene is the engine's change to make.

        controls: as the musician has set them now.

        Raises:
            InputError: there is no such scene or file, or scenes cannot be written.
        """
        with self.lock:
            match message:
                case m.RecallScene(name=name, boundary=boundary):
                    return self.scenes.recalled(name, boundary or controls.quantise)
                case m.RecallSceneNumber(number=number, boundary=boundary):
                    name = self.scenes.name_of(number)
                    return self.scenes.recalled(name, boundary or controls.quantise)
                case m.SaveScenes(file=file):
                    if Path(file).exists():
                        SceneBank.read(Path(file))  # nothing but scenes is written over
                    self.scenes.write(Path(file))
                    return None
                case m.StoreScene(name=name):
                    self.scenes.store(name, controls)
                case m.DeleteScene(name=name):
                    self.scenes.delete(name)
                case m.LoadScenes(file=file):
                    self.scenes = SceneBank.read(Path(file))
            if self.home is not None:
                self.scenes.write(self.home / SCENES_NAME)
        return None

    def close(self) -> None:
        """Notes that the session ended well."""
        if self._thread is not None:
            self._closing.set()
            self._thread.join()
            self._write(ended=True)


def _scenes(path: Path) -> SceneBank:
    return SceneBank.read(path) if path.exists() else SceneBank()
