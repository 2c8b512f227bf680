"""Configs: files, settings, and what is refused by name."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import pytest

from lmdm.errors import InputError
from training.arc_forcing.config import ArcForcingConfig
from training.config import MAY_CHANGE, differences, read, to_toml


@dataclass(frozen=True)
class Inner:
    rate: float = 0.5
    on: bool = False


@dataclass(frozen=True)
class Outer:
    name: str = "a"
    count: int = field(default=3, metadata=MAY_CHANGE)
    kind: Literal["x", "y"] = "x"
    names: tuple[str, ...] | None = None
    inner: Inner = field(default_factory=Inner)
    other: Inner = field(default_factory=lambda: Inner(0.1, True))


def test_settings_win_over_the_file_and_the_file_over_defaults(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('name = "b"\ncount = 5\n[inner]\nrate = 1\non = true\n')
    config = read(Outer, file, ["count=7", 'names=["u", "v"]', "kind=y"])
    assert config == Outer("b", 7, "y", ("u", "v"), Inner(1.0, True))


def test_a_table_adds_to_the_defaults_of_its_own_field() -> None:
    assert read(Outer, None, ["other.on=false"]).other == Inner(0.1, False)
    assert read(Outer, None, ["other.rate=2"]).other == Inner(2.0, True)
    config = read(ArcForcingConfig, None, ["latents=x", "engine.steps=9", "optimizer.beta1=0.5"])
    assert config.engine == replace(ArcForcingConfig(latents="x").engine, steps=9)
    assert config.optimizer == replace(ArcForcingConfig(latents="x").optimizer, beta1=0.5)


def test_a_config_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    config = Outer("b", 7, "y", ("u",), Inner(0.25, True))
    (tmp_path / "c.toml").write_text(to_toml(config))
    assert read(Outer, tmp_path / "c.toml") == config
    assert read(Outer, None) == Outer()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("cuont=1", "unknown config key 'cuont'"),
        ("inner.raet=1", r"unknown config key 'inner\.raet'"),
        ("count=many", "'count' is 'many', which is no int"),
        ("count=true", "'count' is True"),
        ("count=1.5", "'count' is 1.5"),
        ("kind=z", "'kind' is 'z'; it can be x, y"),
        ("inner=3", "'inner' is a table"),
        ("inner.on=1", r"'inner\.on' is 1"),
        ("name", "not KEY=VALUE"),
    ],
)
def test_what_is_wrong_is_named(setting: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(Outer, None, [setting])


def test_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.toml"):
        read(Outer, tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("a = = 1")
    with pytest.raises(InputError, match=r"bad\.toml is not TOML"):
        read(Outer, tmp_path / "bad.toml")


def test_only_what_matters_differs() -> None:
    one, other = Outer(), Outer(count=9, inner=Inner(rate=0.1))
    assert list(differences(other, one)) == [("inner.rate", 0.1, 0.5)]
