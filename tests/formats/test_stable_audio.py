"""stable-audio-tools' checkpoints: the reference's numbers, and every way a file can be wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lmdm import checkpoints
from lmdm.diffusion.samplers import sample
from lmdm.errors import InputError
from lmdm.stream.block_stream import BlockConditions, BlockStream
from lmdm.stream.context import Context
from lmdm.stream.strategies import Rows, base_outpainting_network
from tests.formats.golden.checkpoint import DESCRIBED, HERE, Tensors, tensors_of, write
from tests.formats.golden.weights import drawn

GOLDEN = load_file(HERE / "stable_audio.safetensors")
MODELS = tuple(DESCRIBED)
VALUES = [-3.0, 0.0, 11.5, 256.0, 300.0]
EXACT = 1e-5


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("checkpoints")
    return {
        name: write(root / name, DESCRIBED[name]["config"], tensors_of(name)) for name in MODELS
    }


@pytest.fixture(scope="module")
def models(folders: dict[str, Path]) -> dict[str, checkpoints.Model]:
    return {name: checkpoints.load(folder) for name, folder in folders.items()}


def off(name: str, key: str, ours: torch.Tensor) -> float:
    theirs = GOLDEN[f"{name}.{key}"]
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max())


# -- the same numbers ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_velocity_is_the_references(name: str, models: dict[str, checkpoints.Model]) -> None:
    keys = ("latents", "timestep", "text", "global", "concatenated", "prepended")
    given = [GOLDEN.get(f"{name}.{key}") for key in keys]
    assert off(name, "velocity", models[name].dit.velocity(*given)) < EXACT


@pytest.mark.parametrize("name", MODELS)
def test_codec_is_the_references(name: str, models: dict[str, checkpoints.Model]) -> None:
    codec = models[name].codec
    assert off(name, "parameters", codec.encode_parameters(GOLDEN[f"{name}.audio"])) < EXACT
    assert off(name, "decoded", codec.decode(GOLDEN[f"{name}.latents"])) < EXACT


@pytest.mark.parametrize("name", MODELS)
def test_numbers_are_the_references(name: str, models: dict[str, checkpoints.Model]) -> None:
    conditioner = models[name].conditioner
    for number in conditioner.config.numbers:
        assert off(name, number, conditioner.number(number, VALUES)) < EXACT


@pytest.mark.parametrize(
    ("name", "sampler"), [("small", "euler"), ("small", "ping-pong"), ("open", "ddim")]
)
def test_sampling_a_block_is_the_references(
    name: str, sampler: str, models: dict[str, checkpoints.Model]
) -> None:
    """The stream's network and samplers from noise to data; v-prediction's DDIM is Euler here."""
    dit = models[name].dit
    text, condition = (GOLDEN[f"{name}.{key}"][:1] for key in ("text", "global"))
    noise = GOLDEN[f"{name}.latents"][:1]
    rows = Rows(dit.text_keys_values(text), torch.zeros(1, 0, noise.shape[-1]), condition)
    nothing = noise[0, :, :0]
    network = base_outpainting_network(dit, Context(nothing, nothing[:0]), rows, nothing)
    if sampler == "ddim":
        angles = torch.linspace(1, 0, 5, dtype=torch.float64) * torch.pi / 2
        timesteps = angles.sin() / (angles.sin() + angles.cos())
    else:
        timesteps = torch.sigmoid(-torch.linspace(-6, 2, 5, dtype=torch.float64))
        timesteps[0], timesteps[-1] = 1.0, 0.0
    walk = [float(t) for t in timesteps]
    solver = "euler" if sampler == "ddim" else sampler
    ours = sample(network, noise, walk, solver, 1.0, torch.Generator().manual_seed(1))
    theirs = GOLDEN[f"{name}.{sampler}"]
    assert off(name, sampler, ours) < EXACT * max(1.0, float(theirs.abs().max()))


def test_an_inpainting_model_is_told_what_the_past_is(models: dict[str, checkpoints.Model]) -> None:
    """A stream gives it mask and latents of the context beside the noisy window, target zeros."""
    model = models["inpainting"]
    past, noisy = GOLDEN["inpainting.latents"][0], GOLDEN["inpainting.latents"][1:]
    text, condition = (GOLDEN[f"inpainting.{key}"][:1] for key in ("text", "global"))
    rows = Rows(model.dit.text_keys_values(text), torch.zeros(1, 0, noisy.shape[-1]), condition)
    noise = torch.randn(past.shape, generator=torch.Generator().manual_seed(2))
    network = base_outpainting_network(model.dit, Context(past, past[:0]), rows, noise)
    ours, _ = network(noisy, 0.3)
    window = torch.cat([0.7 * past[None] + 0.3 * noise, noisy], dim=2)
    known = torch.cat([torch.ones(1, 1, 10), past[None]], dim=1)
    known = torch.cat([known, torch.zeros_like(known)], dim=2)
    whole = model.dit.velocity(window, torch.tensor([0.3]), text, condition, known)
    torch.testing.assert_close(ours, whole[:, :, 10:], rtol=1e-5, atol=1e-5)
    assert not torch.allclose(
        ours, model.dit.velocity(window, torch.tensor([0.3]), text, condition)[:, :, 10:]
    )
    stream = BlockStream(model.dit, model.stream_config)
    for _ in range(2):
        block = stream.next_block(BlockConditions(text[0], None, condition[0]), steps=2)
    assert torch.isfinite(block).all()


@pytest.mark.parametrize(("name", "wanted"), [("prepended", "prepended"), ("other", None)])
def test_what_a_stream_cannot_fill_is_not_played(
    name: str, wanted: str | None, models: dict[str, checkpoints.Model]
) -> None:
    model = models[name]
    if wanted is None:
        BlockStream(model.dit, model.stream_config)
        return
    with pytest.raises(InputError, match=f"{wanted} conditions.*not played"):
        BlockStream(model.dit, model.stream_config)


# -- the same checkpoint in other clothes ----------------------------------------------------------


def plain_weights(tensors: Tensors) -> Tensors:
    """Weight norm removed."""
    made = dict(tensors)
    for key in [key for key in tensors if key.endswith("weight_g")]:
        direction = made.pop(key[:-1] + "v")
        made[key[:-2]] = torch._weight_norm(direction, made.pop(key), 0)
    return made


def parametrised(tensors: Tensors) -> Tensors:
    """Weight norm as torch.nn.utils.parametrizations writes it."""
    names = {"weight_g": "parametrizations.weight.original0",
             "weight_v": "parametrizations.weight.original1"}  # fmt: skip
    return {
        key[: -len("weight_g")] + names[key[-8:]] if key[-8:] in names else key: value
        for key, value in tensors.items()
    }


def split_attention(tensors: Tensors) -> Tensors:
    """to_q and to_kv for self-attention's to_qkv, as LMDM's fine-tunes are saved."""
    made = {}
    for key, value in tensors.items():
        if key.endswith("self_attn.to_qkv.weight"):
            query = len(value) // 3
            made[key.replace("to_qkv", "to_q")] = value[:query]
            made[key.replace("to_qkv", "to_kv")] = value[query:]
        else:
            made[key] = value
    return made


def in_training(tensors: Tensors) -> Tensors:
    """As a training run saves it: a wrapper, with the moving average beside a later model."""
    wrapped = {}
    for key, value in tensors.items():
        wrapped[f"diffusion.{key}"] = 2 * value if key.startswith("model.") else value
        if key.startswith("model."):
            wrapped[f"diffusion_ema.ema_model.{key.removeprefix('model.')}"] = value
    return wrapped | {"diffusion_ema.initted": torch.ones(1), "losses.0.weight": torch.ones(2)}


@pytest.mark.parametrize(
    "dressed",
    [
        plain_weights,
        parametrised,
        split_attention,
        in_training,
        lambda tensors: {f"state_dict.{key}": value for key, value in tensors.items()},
    ],
)
def test_other_names_are_the_same_model(
    dressed: Callable[[Tensors], Tensors], tmp_path: Path, models: dict[str, checkpoints.Model]
) -> None:
    folder = write(tmp_path / "m", DESCRIBED["small"]["config"], dressed(tensors_of("small")))
    model = checkpoints.load(folder)
    for part in ("dit", "codec", "conditioner"):
        ours, expected = (getattr(each, part).state_dict() for each in (model, models["small"]))
        assert ours.keys() == expected.keys()
        assert all(torch.equal(ours[key], expected[key]) for key in ours), part
    assert bool(model.unused) == (dressed is in_training)


def test_a_weight_file_finds_the_configuration_beside_it(
    folders: dict[str, Path], models: dict[str, checkpoints.Model]
) -> None:
    model = checkpoints.load(folders["small"] / "model.safetensors")
    assert model.sha256 == models["small"].sha256


@pytest.mark.parametrize(("extra", "local"), [(9, 0), (18, 9)])
def test_fine_tunes_bring_their_context_stem(extra: int, local: int, tmp_path: Path) -> None:
    """1 + 8 inputs: mask and latents; 18: the accompaniment's as well."""
    stem = torch.from_numpy(drawn("stem", (128, extra)))
    tensors = tensors_of("small") | {"model.model.to_input_add_embed.weight": stem}
    model = checkpoints.load(write(tmp_path / "m", DESCRIBED["small"]["config"], tensors))
    assert model.dit.config.local_channels == local
    assert torch.equal(model.dit.to_input_add_embed.weight, stem)
    assert model.stream_config.strategy == "encoder-decoder"
    assert model.stream_config.absent_context == "zeros"
    assert model.stream_config.accompaniment == (local == 9)


def test_a_base_model_plays_by_outpainting(models: dict[str, checkpoints.Model]) -> None:
    streams = {name: model.stream_config for name, model in models.items()}
    assert {each.strategy for each in streams.values()} == {"outpainting"}
    assert (streams["small"].sampler, streams["small"].steps) == ("ping-pong", 8)
    assert (streams["open"].sampler, streams["open"].steps) == ("euler", 50)


def test_weights_in_half_precision_load(tmp_path: Path) -> None:
    tensors = {key: value.half() for key, value in tensors_of("small").items()}
    model = checkpoints.load(write(tmp_path / "m", DESCRIBED["small"]["config"], tensors))
    assert {each.dtype for each in model.dit.state_dict().values()} == {torch.float32}


# -- strictness ------------------------------------------------------------------------------------


def refusal(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        checkpoints.load(folder)
    return str(caught.value)


@pytest.mark.parametrize(
    "key",
    [
        "model.model.transformer.layers.1.self_attn.to_qkv.weight",
        "model.model.transformer.rotary_pos_emb.inv_freq",
        "pretransform.model.decoder.layers.1.layers.0.alpha",
        "conditioner.conditioners.seconds_total.embedder.embedding.1.bias",
    ],
)
def test_a_missing_a_foreign_and_a_misshapen_tensor_are_named(key: str, tmp_path: Path) -> None:
    config, tensors = DESCRIBED["small"]["config"], tensors_of("small")
    value = tensors.pop(key)
    assert f"lacks the tensor {key!r}" in refusal(write(tmp_path / "a", config, tensors))
    bent = tensors | {key: torch.cat([value, value])}
    sentence = refusal(write(tmp_path / "b", config, bent))
    assert f"{key!r} has shape [{2 * len(value)}" in sentence
    more = tensors | {key: value, f"{key}.again": value + 1}
    assert f"{key}.again" in refusal(write(tmp_path / "c", config, more))
    spoilt = tensors | {key: value * torch.nan}
    assert "not finite" in refusal(write(tmp_path / "d", config, spoilt))


def test_a_tensor_without_a_place_is_named(tmp_path: Path) -> None:
    tensors = tensors_of("small") | {"lora.0.weight": torch.ones(2)}
    sentence = refusal(write(tmp_path / "m", DESCRIBED["small"]["config"], tensors))
    assert "'lora.0.weight' that has no place" in sentence


def changed(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(config: dict[str, Any]) -> None:
        *parents, key = path.split(".")
        for parent in parents:
            config = config[int(parent)] if parent.isdigit() else config.setdefault(parent, {})
        config[key] = value

    return change


DIT = "model.diffusion.config"
CODEC = "model.pretransform.config"


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("model_type", "lm", "model_type is 'lm'"),
        (f"{DIT}.causal", True, "causal is True"),
        (f"{DIT}.use_abs_pos_emb", True, "use_abs_pos_emb is True"),
        (f"{DIT}.attn_kwargs.feat_scale", True, "feat_scale is True"),
        (f"{DIT}.conformer", True, "transformer.layers.0.conformer"),
        (f"{DIT}.prepend_cond_dim", 12, "to_prepend_embed.0.weight"),
        (f"{DIT}.input_concat_dim", 9, "preprocess_conv.weight"),
        (f"{DIT}.attn_kwargs.differential", True, "self_attn.to_qkv.weight"),
        (f"{DIT}.attn_kwargs.qk_norm", "rms", "qk_norm is 'rms'"),
        (f"{DIT}.embed_dim", "wide", "embed_dim is 'wide'"),
        (f"{DIT}.num_heads", 3, "not divisible by heads 3"),
        (f"{DIT}.secret", 1, "has 'secret', which this program does not know"),
        (f"{DIT}.embed_dim", 10**12, "does not describe a network"),
        (f"{DIT}.depth", 10**9, "depth is 1000000000, which is more than"),
        ("model.diffusion.type", "adp_1d", "type is 'adp_1d'"),
        (f"{CODEC}.encoder.type", "dac", "type is 'dac'"),
        (f"{CODEC}.bottleneck.type", "rvq", "type is 'rvq'"),
        (f"{CODEC}.decoder.config.antialias_activation", True, "antialias_activation is True"),
        (f"{CODEC}.decoder.config.strides", [2, 2, 0], "not a list of sizes"),
        (f"{CODEC}.downsampling_ratio", 99, "downsampling_ratio is 99"),
        ("model.conditioning.configs.0.type", "clap_text", "type is 'clap_text'"),
        ("model.conditioning.configs.1.config.max_val", 0, "range 0 to 0 is empty"),
    ],
)
def test_what_is_not_built_is_refused_by_key(
    path: str, value: Any, said: str, tmp_path: Path
) -> None:
    config = json.loads(json.dumps(DESCRIBED["small"]["config"]))
    changed(path, value)(config)
    assert said in refusal(write(tmp_path / "m", config, tensors_of("small")))


def test_a_pickle_is_refused_with_the_way_out(folders: dict[str, Path], tmp_path: Path) -> None:
    config = (folders["small"] / "model_config.json").read_text()
    (tmp_path / "model_config.json").write_text(config)
    (tmp_path / "model.ckpt").write_bytes(b"anything")
    sentence = refusal(tmp_path)
    assert "model.ckpt is a pickle" in sentence and ".safetensors" in sentence
    assert "is a pickle" in refusal(tmp_path / "model.ckpt")


def test_of_several_weight_files_one_must_be_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "m", DESCRIBED["small"]["config"], tensors_of("small"))
    (folder / "model.safetensors").rename(folder / "base.safetensors")
    save_file({"a": torch.ones(1)}, folder / "other.safetensors")
    assert "base.safetensors, other.safetensors" in refusal(folder)
    assert checkpoints.load(folder / "base.safetensors").name == "base"
