"""Prompts through a model, one after another, each kept when done: a run can be cut and resumed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from lmdm.errors import InputError
from lmdm.safety.memorization.models import Images, PromptModel, Sampling
from lmdm.safety.memorization.region import fingerprint
from lmdm.safety.memorization.watch import Watch
from lmdm.sharding import WHOLE, Shard
from lmdm.weights import read_metadata, write_beside

MOST_PROMPTS = 100_000


@dataclass(frozen=True)
class PromptRun:
    """One prompt's trajectories, one a seed.

    norms [S, K, 3], labels [S], active bool [S, K], images [S, H, W] or [S, H, W, 3].
    """

    prompt: str
    norms: Tensor
    labels: Tensor
    active: Tensor
    images: Images


def read_prompts(path: Path) -> list[str]:
    """One prompt a line; empty lines do not count.

    Raises:
        InputError: the file cannot be read, is not text, or holds none.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except OSError as problem:
        raise InputError(f"the prompts {path} cannot be read: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"the prompts {path} are not UTF-8 text") from None
    prompts = [line for line in lines if line]
    if not prompts or len(prompts) > MOST_PROMPTS:
        raise InputError(f"{path} holds {len(prompts)} prompts; give 1 to {MOST_PROMPTS}")
    return prompts


def run_prompts(
    model: PromptModel,
    prompts: Sequence[str],
    seeds: Sequence[int],
    sampling: Sampling,
    watch: Watch,
    folder: Path,
    quiet: bool = False,
    shard: Shard = WHOLE,
) -> list[PromptRun]:
    """Every prompt of a share with every seed; what an equal run has finished is taken from it.

    Raises:
        InputError: an unknown prompt; or `folder` holds runs of another model or setting.
    """
    model.check(prompts)
    folder.mkdir(parents=True, exist_ok=True)
    region = watch.region
    key = fingerprint(
        {
            "setting": dict(model.setting(sampling)),
            "seeds": list(seeds),
            "region": None if region is None else fingerprint(region.setting),
            "mitigation": repr(watch.mitigation),
        }
    )
    done = []
    mine = shard.share(list(enumerate(prompts)))
    for index, prompt in tqdm(mine, unit="prompt", disable=quiet):
        path = folder / f"{index:06d}.safetensors"
        if not path.exists():
            images = model.generate(prompt, seeds, sampling, watch)
            assert watch.labels is not None
            tensors = {
                "norms": watch.traces(),
                "labels": watch.labels.cpu().contiguous(),
                "active": torch.stack(watch.active, dim=1).cpu().contiguous(),
                "images": torch.from_numpy(np.ascontiguousarray(images)),
            }
            metadata = {"prompt": json.dumps(prompt), "key": key}
            write_beside(path, partial(save_file, tensors, metadata=metadata))
        done.append(_read(path, prompt, key))
    return done


def _read(path: Path, prompt: str, key: str) -> PromptRun:
    metadata = read_metadata(path)
    if metadata.get("key") != key or metadata.get("prompt") != json.dumps(prompt):
        raise InputError(
            f"{path.parent} holds a run of another model, prompt list or setting; give a new folder"
        )
    tensors = load_file(path)
    images = tensors["images"].numpy()
    return PromptRun(prompt, tensors["norms"], tensors["labels"], tensors["active"], images)
