"""The starter's plans are configs that training takes."""

from __future__ import annotations

from pathlib import Path

import training.recipes.starter
from training.codec.config import CodecConfig
from training.config import read
from training.finetune.config import FinetuneConfig

FOLDER = Path(training.recipes.starter.__file__).parent


def test_the_starters_plans_are_whole() -> None:
    for name in ("codec", "decoder"):
        plan = read(CodecConfig, FOLDER / f"{name}.toml", ["audio=music", "model=m"])
        assert plan.weights.adversarial == 0
    network = read(FinetuneConfig, FOLDER / "finetune.toml", ["latents=x"]).network
    assert (network.fresh, network.dim) == (True, 320)
