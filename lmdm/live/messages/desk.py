"""What lies around the performance: takes, presets, models. Instant lane.

None of these is in a take's log; the command line answers them, off the audio path.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lmdm.live.messages import fields
from lmdm.live.messages.fields import checked
from lmdm.live.messages.message import Lane, Message


@dataclass(frozen=True)
class LookAround(Message):
    """Looks again for devices, ports, models, takes and presets."""

    lane: ClassVar[Lane] = "instant"


@dataclass(frozen=True)
class SelectModel(Message):
    """Plays with another model: a name `lmdm models list` shows, or a folder."""

    lane: ClassVar[Lane] = "instant"
    model: str = checked(fields.text(4096))


@dataclass(frozen=True)
class ExamineModel(Message):
    """Asks what `lmdm doctor` says of a model on this machine; it needs some seconds' computing."""

    lane: ClassVar[Lane] = "instant"
    model: str = checked(fields.text(4096))


@dataclass(frozen=True)
class SavePreset(Message):
    """Keeps all scenes under a name in the musician's presets."""

    lane: ClassVar[Lane] = "instant"
    name: str = checked(fields.name)


@dataclass(frozen=True)
class LoadPreset(Message):
    """Takes the scenes of a preset in place of the present ones."""

    lane: ClassVar[Lane] = "instant"
    name: str = checked(fields.name)


@dataclass(frozen=True)
class DeletePreset(Message):
    """Forgets a preset of the musician's own."""

    lane: ClassVar[Lane] = "instant"
    name: str = checked(fields.name)


@dataclass(frozen=True)
class PlayTake(Message):
    """Plays a take's recording; the live sound is muted meanwhile."""

    lane: ClassVar[Lane] = "instant"
    folder: str = checked(fields.text(4096))


@dataclass(frozen=True)
class StopTake(Message):
    """Ends what `PlayTake` plays."""

    lane: ClassVar[Lane] = "instant"


@dataclass(frozen=True)
class RenderTake(Message):
    """Renders a take again from its log, with this many steps a block (None: as it was played)."""

    lane: ClassVar[Lane] = "instant"
    folder: str = checked(fields.text(4096))
    steps: int | None = checked(fields.maybe(fields.whole(1, 64)), default=None)


@dataclass(frozen=True)
class CancelJob(Message):
    """Ends a job that runs in the background, by its name in `Snapshot.jobs`."""

    lane: ClassVar[Lane] = "instant"
    name: str = checked(fields.text(4096))
