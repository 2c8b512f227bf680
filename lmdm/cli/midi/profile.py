"""What the knobs of one MIDI device mean, kept in a TOML file of the user's configuration.

device = "nanoKONTROL2"
feedback = false                      # send values back to the device's lights and motors
roles = { 1 = "melody", 10 = "drums" }

[[mapping]]
source = "cc:1:74"                    # kind : channel (* for any) : number
target = "set_guidance"
low = 0.0                             # share of the target's range at the ends of the knob
high = 1.0
takeover = "pickup"                   # jump, pickup, scale
encoding = "absolute"                 # toggle, trigger, relative-two, -offset, -signed
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from audio_io.controllers import Source
from lmdm.errors import InputError
from lmdm.live.messages import SetChannelRole, SetMapping
from lmdm.live.targets import target_of

DRUM_CHANNEL = 10
DEFAULT_ROLES = tuple("drums" if c == DRUM_CHANNEL else "melody" for c in range(1, 17))
DEFAULT_MAPPINGS = (
    SetMapping("cc:*:1", "set_blend", takeover="jump"),
    SetMapping("cc:*:7", "set_gain", takeover="jump"),
    SetMapping("cc:*:64", "sustain", takeover="jump"),
    SetMapping("cc:*:74", "set_guidance", takeover="jump"),
    SetMapping("bend:*", "set_pitch_bend", takeover="jump"),
    SetMapping("program:*", "recall_scene_number", encoding="trigger"),
)
MOST_MAPPINGS = 2000


@dataclass(frozen=True)
class Profile:
    """The mappings of one device, and what the notes of its channels do."""

    device: str
    mappings: tuple[SetMapping, ...] = DEFAULT_MAPPINGS
    roles: tuple[str, ...] = DEFAULT_ROLES  # of channels 1 to 16
    feedback: bool = False

    def with_mapping(self, mapping: SetMapping) -> Profile:
        """With a mapping, in place of one of the same source and target."""
        kept = (
            e for e in self.mappings if (e.source, e.target) != (mapping.source, mapping.target)
        )
        return replace(self, mappings=(*kept, mapping))

    def with_learnt(self, mapping: SetMapping) -> Profile:
        """With a mapping in place of all that its source did, and of all that moved its target."""
        source = Source.parse(mapping.source)
        kept = (
            each
            for each in self.mappings
            if each.target != mapping.target and not Source.parse(each.source).matches(source)
        )
        return replace(self, mappings=(*kept, mapping))

    def without(self, target: str) -> Profile:
        """Without every mapping to a target; without any for an empty one."""
        kept = (each for each in self.mappings if target and each.target != target)
        return replace(self, mappings=tuple(kept))

    def with_role(self, message: SetChannelRole) -> Profile:
        """With another role of a channel."""
        roles = list(self.roles)
        roles[message.channel - 1] = message.role
        return replace(self, roles=tuple(roles))


def profile_from(values: Mapping[str, Any], source: str) -> Profile:
    """The profile of a TOML form.

    Raises:
        InputError: an unknown name, or a value that is none, naming `source`.
    """
    known = ("device", "feedback", "roles", "mapping")
    for name in values:
        if name not in known:
            raise InputError(f"{source}: unknown setting {name!r}; known are {', '.join(known)}")
    device, feedback = values.get("device", ""), values.get("feedback", False)
    roles, mappings = values.get("roles", {}), values.get("mapping", [])
    if not isinstance(device, str) or not isinstance(feedback, bool):
        raise InputError(f"{source}: device must be text and feedback true or false")
    if not isinstance(roles, Mapping) or not isinstance(mappings, list):
        raise InputError(f"{source}: roles must be a table and mapping a list of tables")
    if len(mappings) > MOST_MAPPINGS:
        raise InputError(f"{source}: more than {MOST_MAPPINGS} mappings")
    profile = Profile(device, (), feedback=feedback)
    try:
        for channel, role in roles.items():
            number = int(channel) if str(channel).isdecimal() else 0
            profile = profile.with_role(SetChannelRole(number, role))
        for each in mappings:
            profile = replace(profile, mappings=(*profile.mappings, mapping_from(each)))
    except InputError as problem:
        raise InputError(f"{source}: {problem}") from None
    return profile


def mapping_from(values: object) -> SetMapping:
    """The mapping of a TOML table; InputError where it has no meaning."""
    names = [each.name for each in fields(SetMapping)]
    if not isinstance(values, Mapping):
        raise InputError(f"a mapping is a table, not {values!r}")
    unknown = [name for name in values if name not in names]
    if unknown:
        raise InputError(f"mapping: unknown setting {unknown[0]!r}; known are {', '.join(names)}")
    missing = [name for name in ("source", "target") if name not in values]
    if missing:
        raise InputError(f"mapping: {missing[0]!r} is missing")
    return checked_mapping(SetMapping(**values))


def checked_mapping(mapping: SetMapping) -> SetMapping:
    """The mapping itself; InputError if its source or target is none."""
    source = Source.parse(mapping.source)
    target_of(mapping.target)
    return replace(mapping, source=str(source))


def to_toml(profile: Profile) -> str:
    """The TOML form of a profile."""
    import tomlkit

    document = tomlkit.document()
    document.add(tomlkit.comment("What the knobs of this device mean in LMDM Live."))
    document["device"] = profile.device
    document["feedback"] = profile.feedback
    roles = tomlkit.table()
    for channel, role in enumerate(profile.roles, start=1):
        roles[str(channel)] = role
    document["roles"] = roles
    mappings = tomlkit.aot()
    for mapping in profile.mappings:
        table = tomlkit.table()
        for each in fields(mapping):
            table[each.name] = getattr(mapping, each.name)
        mappings.append(table)
    document["mapping"] = mappings
    return tomlkit.dumps(document)


def read_profile(path: Path) -> Profile:
    """The profile in a file. Raises InputError, one sentence."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise InputError(f"the mappings {path} cannot be read: {problem.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise InputError(f"the mappings {path} are not TOML: {problem}") from None
    return profile_from(values, f"mappings {path}")


def write_profile(path: Path, profile: Profile) -> None:
    """Writes the profile beside and renames it. Raises InputError, one sentence."""
    partial = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".toml")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(to_toml(profile))
        Path(partial).replace(path)
    except OSError as problem:
        with contextlib.suppress(OSError):
            Path(partial).unlink()
        raise InputError(f"the mappings {path} cannot be written: {problem.strerror}") from None


class ProfileStore:
    """The profiles of all devices: one file each, named after the device.

    Threads: none; the owner locks.
    """

    def __init__(self, folder: Path | None) -> None:
        """`folder`: where the files are; None keeps nothing."""
        self.folder = folder

    def path(self, device: str) -> Path | None:
        """The file of a device; None where nothing is kept."""
        if self.folder is None:
            return None
        name = re.sub(r"[^\w.-]+", "-", device.casefold()).strip("-.") or "virtual"
        return self.folder / f"{name[:80]}.toml"

    def load(self, device: str) -> tuple[Profile, str]:
        """The profile of a device, and one line that says what is wrong with its file, if any.

        A file that cannot be understood is left alone and the built-in profile is used.
        """
        path = self.path(device)
        if path is None or not path.exists():
            return Profile(device), ""
        try:
            return replace(read_profile(path), device=device), ""
        except InputError as problem:
            return Profile(device), f"{problem}; the built-in mappings are used"

    def save(self, profile: Profile) -> None:
        """Keeps the profile of a device."""
        path = self.path(profile.device)
        if path is not None:
            write_profile(path, profile)
