"""Low-rank adapters (peft): the layers' projections learn through them, the stem B as it is."""

from __future__ import annotations

import copy

from torch import nn

from lmdm.dit.model import DiT
from training.finetune.config import LoRAConfig

TARGETS = r"transformer\.layers\.\d+\.(self_attn|cross_attn)\.(to_qkv|to_q|to_kv|to_out)"
TARGETS += r"|transformer\.layers\.\d+\.ff\.ff\.(0\.proj|2)"


def add_lora(dit: DiT, plan: LoRAConfig) -> DiT:
    """Adapters in place; what was there is frozen, but for the context stem."""
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(
        r=plan.rank,
        lora_alpha=plan.alpha,
        lora_dropout=plan.dropout,
        target_modules=TARGETS,
        bias="none",
    )
    inject_adapter_in_model(config, dit)
    for name, parameter in dit.named_parameters():
        parameter.requires_grad_("lora_" in name or name.startswith("to_input_add_embed"))
    return dit


def merged(dit: DiT) -> DiT:
    """A plain network that does what the adapted one does."""
    from peft.tuners.lora import LoraLayer

    plain = copy.deepcopy(dit)
    for name, module in list(plain.named_modules()):
        if isinstance(module, LoraLayer):
            module.merge()
            parent = plain.get_submodule(name.rpartition(".")[0])
            base: nn.Module = module.get_base_layer()
            setattr(parent, name.rpartition(".")[2], base)
    return plain.requires_grad_(True)
