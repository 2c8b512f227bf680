"""The memorization light of the live engine: is what is played now close to the training set?

Two witnesses, which say different things:

    updates    the sampler's updates are of unusual size, averaged over the last seconds: something
               idiosyncratic, which may be a copy (dossier Broken Memories, block by block)
    passages   the last two seconds lie nearer to a passage of the training set than ordinary
               playing does: where it may be copied from

A light belongs to one model, and its updates to the steps and guidance that it was calibrated
under; it says nothing under others. Each witness's threshold is one that ordinary playing exceeds
for `rate` of the time; the rate that held-out playing then showed is part of the file.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from lmdm.errors import InputError
from lmdm.safety.memorization.passages import WINDOW_FRAMES, Nearest, Passages
from lmdm.safety.memorization.region import Region, fingerprint
from lmdm.weights import read_metadata, write_beside

FORMAT = "lmdm-memorization-light"
UPDATE_FRAMES = 96  # over which block scores are averaged: 4.5 s of the starter
CHECK_FRAMES = 32  # latent frames between two looks for passages

State = Literal["", "unknown", "clear", "unusual", "near"]


@dataclass(frozen=True)
class Threshold:
    """Above `value` a witness speaks; how often it does so while nothing is copied.

    false_rate: share of the time in held-out ordinary playing; interval: 95 %, over performances.
    """

    value: float
    false_rate: float
    interval: tuple[float, float]
    performances: int
    minutes: float


@dataclass(frozen=True)
class UpdateWitness:
    """What is usual under one setting, and the threshold of the averaged score."""

    region: Region
    threshold: Threshold


@dataclass(frozen=True)
class Light:
    """What `lmdm safety memorization light` measured. model: hash of the model it is for."""

    model: str
    updates: tuple[UpdateWitness, ...]
    passages: Passages | None = None
    nearness: Threshold | None = None  # of the similarity; there where passages are

    def check(self, model: str) -> None:
        """Raises InputError unless this is the light of the model with that hash."""
        if model != self.model:
            raise InputError(
                f"the memorization light was calibrated for the model {self.model[:12]}, not "
                f"{model[:12]}; calibrate one with `lmdm safety memorization light`"
            )

    def witness(self, setting: Mapping[str, Any]) -> UpdateWitness | None:
        """The one calibrated under exactly this setting."""
        wanted = dict(setting)
        return next((each for each in self.updates if each.region.setting == wanted), None)

    def save(self, path: Path) -> None:
        """Writes it as safetensors, beside and renamed."""
        tensors = {}
        for index, witness in enumerate(self.updates):
            tensors[f"updates.{index}.mean"] = witness.region.mean.contiguous()
            tensors[f"updates.{index}.std"] = witness.region.std.contiguous()
        facts: dict[str, Any] = {
            "model": self.model,
            "updates": [
                {
                    "setting": dict(w.region.setting),
                    "trajectories": w.region.trajectories,
                    "threshold": asdict(w.threshold),
                }
                for w in self.updates
            ],
        }
        if self.passages is not None and self.nearness is not None:
            tensors |= self.passages.tensors()
            facts |= {"nearness": asdict(self.nearness), "pieces": self.passages.names()}
        metadata = {"format": FORMAT, "facts": json.dumps(facts), "hash": fingerprint(facts)}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_beside(path, lambda part: save_file(tensors, part, metadata))

    @classmethod
    def load(cls, path: Path) -> Light:
        """Raises InputError unless the file is a whole, unaltered light."""
        metadata = read_metadata(path)
        try:
            facts = json.loads(metadata["facts"])
            if metadata["format"] != FORMAT or metadata["hash"] != fingerprint(facts):
                raise ValueError("altered")
            return cls._read(load_file(path), facts)
        except (KeyError, ValueError, TypeError):
            raise InputError(
                f"{path} is not a memorization light; make one with "
                "`lmdm safety memorization light`"
            ) from None

    @classmethod
    def _read(cls, tensors: dict[str, Tensor], facts: Mapping[str, Any]) -> Light:
        updates = []
        for index, each in enumerate(facts["updates"]):
            mean, std = (tensors[f"updates.{index}.{name}"].double() for name in ("mean", "std"))
            region = Region(mean, std, each["setting"], each["trajectories"])
            updates.append(UpdateWitness(region, _threshold(each["threshold"])))
        passages = nearness = None
        if "pieces" in facts:
            passages = Passages.read(tensors, facts["pieces"])
            nearness = _threshold(facts["nearness"])
        return cls(facts["model"], tuple(updates), passages, nearness)


def _threshold(values: Mapping[str, Any]) -> Threshold:
    return Threshold(**{**values, "interval": tuple(values["interval"])})


def block_score(region: Region, norms: Tensor) -> float:
    """max over steps of |z of the update|, of a block's norms [K, 3] (§2.3)."""
    return float(region.profile(norms)[:, 0].abs().max())


def averaged(scores: Sequence[float], block_frames: int) -> float:
    """Mean of the newest blocks' scores, over UPDATE_FRAMES or what there is."""
    newest = list(scores)[-max(1, UPDATE_FRAMES // block_frames) :]
    return sum(newest) / len(newest)


@dataclass(frozen=True)
class Verdict:
    """What the light shows. score, similarity: None where there is nothing to say yet."""

    state: State
    text: str
    score: float | None = None
    similarity: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


OFF = Verdict("", "")


class MemorizationLight:
    """Follows a stream, block by block.

    Blocks that are made anew are told again under their number: what came of that number and those
    after it is forgotten.

    Threads: none; whoever makes the blocks calls it.
    """

    def __init__(self, light: Light, block_frames: int, frame_rate: float) -> None:
        """frame_rate: latent frames a second, to say where a passage begins."""
        self._light = light
        self._block_frames, self._rate = block_frames, frame_rate
        kept = max(UPDATE_FRAMES, WINDOW_FRAMES) // block_frames + 1
        self._blocks: deque[tuple[int, Tensor, float | None]] = deque(maxlen=kept)
        self._checked_at = 0  # number of the block that was newest at the last look for passages
        self._nearest: Nearest | None = None
        self._calibrated = True  # whether updates can be judged under the newest block's setting
        self._setting: Mapping[str, Any] = {}

    @property
    def needs_norms(self) -> bool:
        """Whether it judges updates."""
        return bool(self._light.updates)

    def reset(self) -> None:
        """Forgets what was played."""
        self._blocks.clear()
        self._nearest = None

    def hear(
        self, number: int, latents: Tensor, norms: Tensor | None, setting: Mapping[str, Any]
    ) -> None:
        """Block `number` [C, o] and the norms of its steps [K, 3]; None where none were seen."""
        while self._blocks and self._blocks[-1][0] >= number:
            self._blocks.pop()
        witness = self._light.witness(setting)
        self._calibrated, self._setting = witness is not None, setting
        score = None
        if witness is not None and norms is not None and len(norms) == witness.region.steps:
            score = block_score(witness.region, norms)
        if latents.shape[1] == self._block_frames:
            self._blocks.append((number, latents, score))
        if abs(number - self._checked_at) * self._block_frames >= CHECK_FRAMES:
            self._look(number)

    def _look(self, number: int) -> None:
        """Looks for the passage nearest to the newest window."""
        self._checked_at, self._nearest = number, None
        count = -(-WINDOW_FRAMES // self._block_frames)
        if self._light.passages is not None and len(self._blocks) >= count:
            newest = [latents for _, latents, _ in list(self._blocks)[-count:]]
            window = torch.cat(newest, dim=1)[:, -WINDOW_FRAMES:]
            self._nearest = self._light.passages.nearest(window)

    def verdict(self) -> Verdict:
        """What the light shows now."""
        scores = [score for _, _, score in self._blocks if score is not None]
        enough = len(scores) * self._block_frames >= UPDATE_FRAMES // 2
        score = averaged(scores, self._block_frames) if enough and self._calibrated else None
        nearest, near = self._nearest, self._light.nearness
        similarity = None if nearest is None else nearest.similarity
        if nearest is not None and near is not None and nearest.similarity > near.value:
            second = int(nearest.frame / self._rate)
            at = f"{nearest.piece} at {second // 60}:{second % 60:02d}"
            text = f"close to {at} (similarity {nearest.similarity:.2f})"
            return Verdict("near", text, score, similarity)
        witness = self._light.witness(self._setting)
        if score is not None and witness is not None and score > witness.threshold.value:
            text = f"unusual updates ({score:.1f}, usual up to {witness.threshold.value:.1f})"
            return Verdict("unusual", text, score, similarity)
        if self._light.updates and not self._calibrated:
            steps, guidance = self._setting["steps"], self._setting["guidance"]
            text = f"updates not calibrated for {steps} steps at guidance {guidance:g}"
            if similarity is None:
                return Verdict("unknown", text)
            return Verdict("clear", f"no training passage is near; {text}", None, similarity)
        if score is None and similarity is None:
            return Verdict("unknown", "listening")
        text = "nothing unusual" if self._light.updates else "no training passage is near"
        return Verdict("clear", text, score, similarity)
