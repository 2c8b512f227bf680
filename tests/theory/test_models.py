"""Token models: trained, kept, resumed and refused; and the bar generator that comes along."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lmdm.diffusion.discrete.sampling import Corrector
from lmdm.errors import InputError
from lmdm.theory import bars, corpora, evaluation, models, player
from lmdm.theory.fitting import FitConfig, fit
from lmdm.theory.markov import MarkovText
from lmdm.theory.models import ModelConfig, TokenModel
from lmdm.theory.network import NetworkConfig
from lmdm.theory.table import CELLS, TableConfig, cell, summary

TEXT = MarkovText()
SMALL = ModelConfig(NetworkConfig(8, 16, width=16, layers=1), "loo", "elbo", tuple("abcdefgh"))


def variant(process: str, means: str = "denoiser", loss: str = "elbo") -> ModelConfig:
    return replace(SMALL, network=replace(SMALL.network, process=process), means=means, loss=loss)


@pytest.mark.parametrize(
    "config",
    [
        SMALL, variant("uniform", "loo", "ce"), variant("uniform"), variant("uniform", loss="ce"),
        variant("lift"), variant("lift", "loo"), variant("masked"),
    ],
)  # fmt: skip
def test_every_process_learns_and_samples(config: ModelConfig, tmp_path: Path) -> None:
    """A few steps bring the bound down; samples are tokens, in the evaluations asked for."""
    model = TokenModel(config)
    test = TEXT.draw(512, 2)
    before = evaluation.bound(model, test)
    fit(model, TEXT.draw(2000, 1), FitConfig(40, 64, 5e-3, ema=0.5), tmp_path, quiet=True)
    assert evaluation.bound(model, test) < before - 0.1
    samples = model.sample(32, 4, torch.Generator().manual_seed(0))
    assert samples.shape == (32, 16)
    assert 0 <= samples.min() <= samples.max() < 8


def test_an_interrupted_fit_goes_on_exactly(tmp_path: Path, monkeypatch) -> None:
    """Training in two parts is training in one."""
    tokens, config = TEXT.draw(500, 1), FitConfig(12, 16)
    whole, first, second = TokenModel(SMALL), TokenModel(SMALL), TokenModel(SMALL)
    losses = fit(whole, tokens, config, tmp_path / "whole", quiet=True)
    loss, calls = first.training_loss, itertools.count()

    def cut(*arguments):
        if next(calls) == 7:
            raise KeyboardInterrupt
        return loss(*arguments)

    monkeypatch.setattr(first, "training_loss", cut)
    with pytest.raises(KeyboardInterrupt):
        fit(first, tokens, config, tmp_path / "part", quiet=True)
    assert fit(second, tokens, config, tmp_path / "part", quiet=True) == losses[7:]
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[name]), name
    with pytest.raises(InputError, match="steps was 12, not 99"):
        fit(TokenModel(SMALL), tokens, replace(config, steps=99), tmp_path / "part")
    with pytest.raises(InputError, match="no training sequences"):
        fit(TokenModel(SMALL), tokens[:0], config, tmp_path / "none")


def test_a_model_is_saved_and_loaded(tmp_path: Path) -> None:
    model = TokenModel(SMALL)
    models.save(model, tmp_path)
    again = models.load(tmp_path)
    assert again.config == SMALL
    x = TEXT.draw(4, 3)
    with torch.no_grad():
        assert (again(x, 0.5).logits - model(x, 0.5).logits).abs().max() < 1e-2  # stored in 16 bits


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"layout": "poem"}, "layout"),
        ({"layout": "bars"}, "whole bars of 34"),
        ({"means": "score"}, "means"),
        ({"colour": 1}, "unknown key 'colour'"),
        ({"alphabet": ["a"]}, "1 tokens are named"),
        ({"network": {"vocabulary": 8}}, "length"),
        ({"network": {"vocabulary": 8, "length": 16, "kernel": 2}}, "kernel"),
        ({"network": 3}, "lacks the part 'network'"),
        ({"network": {"vocabulary": 8, "length": 16, "process": "lift"}, "loss": "ce"}, "not ce"),
        ({"network": {"vocabulary": 8, "length": 16, "process": "masked"}}, "is a denoiser"),
    ],
)
def test_a_wrong_configuration_is_named(tmp_path: Path, change: dict, wrong: str) -> None:
    models.save(TokenModel(SMALL), tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=wrong):
        models.load(tmp_path)
    path.write_text("not json")
    with pytest.raises(InputError, match="cannot be read as JSON"):
        models.load(tmp_path)
    path.write_text("[" * 100_000)
    with pytest.raises(InputError, match="cannot be read as JSON"):
        models.load(tmp_path)
    path.unlink()
    with pytest.raises(InputError, match="is missing"):
        models.load(tmp_path)


def test_characters_of_a_text(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("the cat sat on the mat. " * 60)
    tokens = corpora.read(str(path), 16)
    assert tokens.alphabet == tuple(sorted(set("the cat sat on the mat. ")))
    assert tokens.train.shape[1] == tokens.test.shape[1] == 16
    config = replace(
        SMALL, network=NetworkConfig(len(tokens.alphabet), 16), alphabet=tokens.alphabet
    )
    assert TokenModel(config).text(tokens.train[0]) == "the cat sat on t"
    path.write_text("short")
    with pytest.raises(InputError, match="5 characters"):
        corpora.read(str(path), 16)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="UTF-8"):
        corpora.read(str(path), 16)
    with pytest.raises(InputError, match="cannot be read"):
        corpora.read(str(tmp_path / "nothing"), 16)


def test_a_perfect_loo_network_has_no_sensitivity() -> None:
    """Against a network that says R exactly: the Markov chain's posterior knows no own token."""

    class Constant(TokenModel):
        def __call__(self, x, t):
            prediction = super().__call__(x, t)
            return replace(prediction, logits=torch.zeros_like(prediction.logits))

    assert evaluation.loo_sensitivity(Constant(SMALL), TEXT.draw(64, 1)) == 0.0
    assert evaluation.loo_sensitivity(Constant(variant("uniform")), TEXT.draw(64, 1)) > 0.05


def test_markov_text_is_what_it_says() -> None:
    tokens = TEXT.draw(20_000, 1)
    assert TEXT.bigram_distance(tokens) < 0.02
    assert TEXT.transitions.sum(1) == pytest.approx(torch.ones(8).numpy())
    log_p = TEXT.stationary.log()[tokens[:, 0]]
    log_p = log_p + TEXT.transitions.log()[tokens[:, :-1], tokens[:, 1:]].sum(1)
    assert -float(log_p.mean()) / 16 == pytest.approx(TEXT.entropy, abs=0.01)


def test_the_table_is_kept_and_read_again(tmp_path: Path) -> None:
    config = TableConfig(seeds=(0,), steps=2, batch=8, training_sequences=64, test_sequences=64,
                         width=16, layers=1, sampling_steps=2)  # fmt: skip
    rows = [cell(config, tmp_path, 0, *each) for each in CELLS]
    assert [cell(config, tmp_path, 0, *each) for each in CELLS] == rows
    report = summary(config, rows)
    assert report["entropy"] == pytest.approx(TEXT.entropy, abs=1e-4)
    held = [found["holds"] for found in report["claims"].values()]
    assert not all(held)  # nothing is learned in two steps


def test_a_published_margin_is_told_apart_from_what_tests_this_code() -> None:
    """Margins are paired by seed; a claim asks for their mean; the dossier's 0.01 stands aside."""
    cells = {  # by seed 0 and 1
        ("loo", "elbo"): (1.50, 1.60), ("loo", "ce"): (1.49, 1.59),
        ("denoiser", "elbo"): (1.504, 1.606), ("denoiser", "ce"): (1.55, 1.58),
    }  # fmt: skip
    rows = [
        {"means": means, "loss": loss, "seed": seed, "nelbo": bounds[seed], "bigram_tv": 0.1,
         "loo_sensitivity": 0.1 if means == "loo" else 0.2, "unconverted_nelbo": 2.5}
        for (means, loss), bounds in cells.items()
        for seed in (1, 0)
    ]  # fmt: skip
    report = summary(TableConfig(seeds=(0, 1)), rows)
    claims = report["claims"]
    assert claims["R below D, both by ELBO"] == {
        "margin": 0.005, "over_seeds": [0.004, 0.006], "wanted": 0.0, "holds": True,
    }  # fmt: skip
    assert claims["R below D, both by CE"]["over_seeds"] == [-0.01, 0.06]
    assert claims["R below D, both by CE"]["holds"] and claims["R less sensitive than D"]["holds"]
    assert claims["unconverted worse by 0.3"]["margin"] == pytest.approx(0.935)
    (published,) = report["published"].values()
    assert published["over_seeds"] == [-0.02, 0.004] and not published["holds"]


def bars_of(model: TokenModel, seed: int) -> torch.Tensor:
    source = player.endless_bars(model, 8, torch.Generator().manual_seed(seed))
    return torch.stack(list(itertools.islice(source, 3)))


def test_the_bundled_generator_plays_bars_in_the_style_of_bars() -> None:
    """Every token may stand at its place; the past is kept; a seed is a piece."""
    model = player.bundled()
    assert model.config.network.process == "lift"
    allowed = bars.allowed_tokens(bars.BAR)
    piece = bars_of(model, 5)
    assert all(allowed.gather(1, bar[:, None]).all() for bar in piece)
    assert torch.equal(piece, bars_of(model, 5))
    window = player.continuation(model, piece[0], 8, torch.Generator().manual_seed(1))
    assert torch.equal(window[: bars.BAR], piece[0])
    with pytest.raises(InputError, match="fills the model's window"):
        player.continuation(model, window, 8, torch.Generator())
    with pytest.raises(InputError, match="of the lift"):
        player.continuation(TokenModel(SMALL), None, 8, torch.Generator())


def test_correctors_count_in_a_trained_model_too() -> None:
    calls = 0

    class Counted(TokenModel):
        def __call__(self, x, t):
            nonlocal calls
            calls += 1
            return super().__call__(x, t)

    Counted(SMALL).sample(2, 11, torch.Generator().manual_seed(0), corrector=Corrector(2, 3))
    assert calls == 11


@pytest.mark.slow
@pytest.mark.parametrize("seed", TableConfig().seeds)
def test_the_trained_table_holds(tmp_path: Path, seed: int) -> None:
    """In every seed: R below D for either loss, D raw worse by 0.3, R nets see themselves less.

    The dossier's margin of 0.01 across losses is not asked for (docs/theory.md).
    """
    config = TableConfig(seeds=(seed,))
    report = summary(config, [cell(config, tmp_path, seed, *each) for each in CELLS])
    assert all(found["holds"] for found in report["claims"].values()), report["claims"]
