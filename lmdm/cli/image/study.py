"""`lmdm image decq study`."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any

from lmdm.cli.image.common import numbers, report
from lmdm.cli.options import add_json, number, whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument(
        "--images", type=Path, required=True, metavar="DIR", help="training pictures"
    )
    parser.add_argument("--test", type=Path, required=True, metavar="DIR", help="held-out pictures")
    parser.add_argument(
        "--probe",
        type=Path,
        metavar="DIR",
        help="labelled by folder, for the linear probe (--test)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--backbone", default="small-vit", metavar="B")
    parser.add_argument("--backbone-size", type=whole(8, 2048), metavar="PIXELS")
    parser.add_argument("--resolution", type=whole(16, 2048), default=64, metavar="PIXELS")
    parser.add_argument(
        "--minutes", type=number(0, 1e6), metavar="M", help="stop after; go on later"
    )
    for name, help_ in (
        ("seeds", "of DecQ, RAE and the last-layer control (3)"),
        ("ablation-seeds", "of every other variant (1)"),
        ("steps", "of stage 1"),
        ("generator-steps", "of stage 2"),
        ("batch", "pictures a step"),
        ("queries", "of DecQ (8)"),
        ("samples", "generated at each checkpoint"),
    ):
        parser.add_argument(f"--{name}", type=whole(1, 10**7), metavar="N", help=help_)
    parser.add_argument("--taps", type=numbers, metavar="L,L,...", help="that the queries read")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    parser.add_argument("--noise-tau", type=number(0, 10), metavar="T")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Runs what is not done yet; writes report.json, report.md and the plots."""
    from lmdm.image.backbones import registry
    from lmdm.image.dataset import prepare
    from lmdm.image.study import Study, StudyPlan
    from lmdm.image.study_report import write_report

    given: dict[str, Any] = {
        field.name: getattr(options, field.name)
        for field in fields(StudyPlan)
        if getattr(options, field.name, None) is not None
    }
    backbone = registry.load(options.backbone, options.backbone_size)
    folders = {"train": options.images, "test": options.test}
    folders["probe"] = options.probe or options.test
    pictures = {
        name: prepare(folder, options.resolution, options.out / "pictures" / name)
        for name, folder in folders.items()
    }
    study = Study(
        options.out,
        StudyPlan(**given),
        backbone,
        **pictures,
        resolution=options.resolution,
        device=options.device,
    )
    done = study.run(options.minutes)
    figures = write_report(study) | {"finished": done}

    def say() -> None:
        print((options.out / "report.md").read_text())
        if not done:
            print("not finished; the same command goes on")

    report(options, figures, say)
    return 0
