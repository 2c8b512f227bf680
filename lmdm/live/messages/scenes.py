"""Scenes: all controls of the model under a name, recalled at a boundary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from lmdm.live.messages import fields
from lmdm.live.messages.fields import checked
from lmdm.live.messages.message import Lane, Message
from lmdm.live.messages.transport import BOUNDARIES


@dataclass(frozen=True)
class SetControls(Message):
    """Several controls at once, as a scene file has them; what is not named stays as it is.

    This is what a recalled scene becomes, so that a take's log needs no scene file.
    """

    settings: Mapping[str, Any] = checked(fields.settings)
    scene: str = checked(fields.text(80), default="")

    @property
    def control(self) -> None:
        """It sets what it names, so one after another does not make up for it."""
        return


@dataclass(frozen=True)
class StoreScene(Message):
    """Keeps the present controls under a name, in place of a scene of that name."""

    lane: ClassVar[Lane] = "instant"
    name: str = checked(fields.name)


@dataclass(frozen=True)
class RecallScene(Message):
    """Recalls a scene at a boundary; None takes that of `SetQuantise`."""

    lane: ClassVar[Lane] = "scene"
    name: str = checked(fields.name)
    boundary: str | None = checked(fields.maybe(fields.choice(BOUNDARIES)), default=None)


@dataclass(frozen=True)
class RecallSceneNumber(Message):
    """Recalls the scene in this place of the list, from 0: what a program change asks for."""

    lane: ClassVar[Lane] = "scene"
    number: int = checked(fields.whole(0, 16383))
    boundary: str | None = checked(fields.maybe(fields.choice(BOUNDARIES)), default=None)


@dataclass(frozen=True)
class DeleteScene(Message):
    """Forgets a scene."""

    lane: ClassVar[Lane] = "instant"
    name: str = checked(fields.name)


@dataclass(frozen=True)
class SaveScenes(Message):
    """Writes all scenes into a TOML file. (They are kept by themselves as well.)"""

    lane: ClassVar[Lane] = "instant"
    file: str = checked(fields.text(4096))


@dataclass(frozen=True)
class LoadScenes(Message):
    """Reads scenes from a TOML file, in place of the present list."""

    lane: ClassVar[Lane] = "instant"
    file: str = checked(fields.text(4096))
