"""The sheet of cases shows what it says, and every kind of claim has its panel."""

from __future__ import annotations

from pathlib import Path

import torch

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


def test_every_kind_of_claim_has_its_panel(tmp_path: Path, monkeypatch) -> None:
    drawn = []
    monkeypatch.setattr(pictures, "write_figure", lambda path, figure: drawn.append(figure))
    claims = {
        "target_dial": {"adherence": {0.0: 0.2, 1.0: 0.9}},
        "distribution_head": {"flow_entropy": 0.9, "l2_entropy": 0.0, "largest_entropy": 1.8},
        "reasoning": {"rows": {"none": {"shape": 0.5}, "text": {"shape": 0.75}}},
        "iterative_planning": {"agreement": {1: 0.5, 4: 0.9}},
    }
    pictures.draw_claims(claims, tmp_path / "a.png")
    panels = [axes for axes in drawn[0].axes if axes.get_visible()]
    assert [axes.get_title() for axes in panels] == [name.replace("_", " ") for name in claims]
    assert panels[0].lines[0].get_ydata().tolist() == [0.2, 0.9]
    heights = [[bar.get_height() for bar in axes.patches] for axes in panels[1:3]]
    assert heights == [[0.5, 0.0], [0.5, 0.75]]
