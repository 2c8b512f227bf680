from __future__ import annotations

import pytest
import torch
from torch import nn

from lmdm.errors import InputError
from lmdm.safety.piu.scope import STABLE_DIFFUSION, Scope, select, share


def test_the_share_of_stable_diffusion_that_piu_trains() -> None:
    """4.29 % of 859.5 M parameters, all cross-attention 5.11 % (dossier §3), on the real class."""
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768)
    assert sum(p.numel() for p in unet.parameters()) == 859_520_964
    assert share(unet, STABLE_DIFFUSION["surgical"]) == pytest.approx(0.0429, abs=5e-5)
    assert share(unet, STABLE_DIFFUSION["cross-attention"]) == pytest.approx(0.0511, abs=5e-5)
    assert share(unet, STABLE_DIFFUSION["full"]) == 1.0


def test_select_freezes_the_rest() -> None:
    network = nn.ModuleDict(
        {"blocks1": nn.Linear(2, 2), "blocks": nn.ModuleList([nn.Linear(2, 2)])}
    )
    chosen = select(network, Scope("weight", ("blocks",)))
    assert list(chosen) == ["blocks.0.weight"]
    trained = [name for name, p in network.named_parameters() if p.requires_grad]
    assert trained == ["blocks.0.weight"]
    with pytest.raises(InputError, match="holds no parameter"):
        select(network, Scope("attn2"))
