"""The sheet of cases shows what it says, and claims without figures are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lmdm.errors import InputError
from lmdm.video.base import to_latents
from lmdm.video.bernini import pictures, renderer, vit
from lmdm.video.bernini.planner import Planner
from lmdm.video.bernini.rendering import Bernini
from lmdm.video.bernini.tasks import FRAMES, SIZE
from lmdm.video.dit import VideoDiT
from lmdm.video.metrics import read_scene
from lmdm.video.words import COLOURS, DIRECTIONS, SHAPES, SPEEDS


def frames_of(strip: torch.Tensor) -> torch.Tensor:
    """A strip [3, 17, W] as the video [3, 8, 16, 16] it begins with."""
    step = SIZE + pictures.MARGIN
    return torch.stack([strip[:, :SIZE, i * step : i * step + SIZE] for i in range(FRAMES)], dim=1)


def test_a_sheet_shows_given_wanted_and_drawn() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        bernini = Bernini(vit.load(), Planner().eval(), VideoDiT(renderer.CONFIG).eval())
    prompt, sheet = pictures.case_sheet(bernini, "v2v", 1)
    given, wanted, drawn, planless = map(frames_of, sheet.chunk(4, dim=1))
    before, after = read_scene(given), read_scene(wanted)
    names = (SHAPES, COLOURS, DIRECTIONS, SPEEDS)
    if prompt == "reverse":
        assert after[2] == (before[2] + 2) % 4
    else:
        attribute = 1 if prompt.startswith("recolour") else 0
        assert list(names[attribute])[after[attribute]] == prompt.split()[1]
    # a renderer whose last layer is zero leaves the noise as it is
    noise = torch.randn(1, 3, FRAMES, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    inside = (to_latents(drawn) - noise[0]).abs()[drawn.abs() < 0.99]
    assert inside.max() < 1e-3
    assert torch.equal(drawn, planless)
    _, empty = pictures.case_sheet(bernini, "t2v", 1)
    assert bool((empty.chunk(4, dim=1)[0] == pictures.PAPER).all())  # nothing is given


def test_claims_without_rows_or_dials_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none of these has any"):
        pictures.draw_claims({"distribution_head": {"flow_entropy": 1.0}}, tmp_path / "a.png")
    pictures.draw_claims({"target_dial": {"adherence": {0.0: 0.2, 1.0: 0.9}}}, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
