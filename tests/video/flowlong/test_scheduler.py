"""FlowLong inside the real WanPipeline and LTXPipeline, with random weights."""

from __future__ import annotations

import pytest
import torch

from lmdm.video import pipelines
from lmdm.video.flowlong.geometry import WindowGeometry
from lmdm.video.flowlong.matching import mismatch
from lmdm.video.flowlong.sampler import FlowLongConfig, begin, sample
from lmdm.video.flowlong.scheduler import FlowLongScheduler, FrameMajorTokens, microbatched
from tests.video.tiny_pipelines import ltx_pipeline, wan_pipeline

GEOMETRY = WindowGeometry(5, 2, 9)
STEPS = 4


def run_wan(pipe, scheduler, latents, **more):
    generator = torch.Generator().manual_seed(9)
    prompts = torch.randn(GEOMETRY.windows, 6, 32, generator=generator)
    pipe.scheduler = scheduler
    return pipe(
        prompt_embeds=prompts, negative_prompt_embeds=torch.zeros_like(prompts), height=32,
        width=32, num_frames=17, num_inference_steps=STEPS, guidance_scale=3.0, latents=latents,
        output_type="latent", **more,
    ).frames  # fmt: skip


def coupled(config=FlowLongConfig(), on_step=None) -> FlowLongScheduler:  # noqa: B008
    scheduler = FlowLongScheduler(shift=3.0)
    scheduler.couple(GEOMETRY, config, on_step=on_step)
    return scheduler


@pytest.fixture(scope="module")
def wan():
    return wan_pipeline()


def test_overlaps_agree_exactly_in_the_real_wan_pipeline(wan):
    seen = []
    scheduler = coupled(on_step=lambda state: seen.append(mismatch(state.windows, GEOMETRY)))
    frames = run_wan(wan, scheduler, scheduler.start_latents(16, 4, 4))
    assert seen == [0.0] * STEPS
    assert [report.after for report in scheduler.state.reports] == [0.0] * STEPS
    assert min(report.before for report in scheduler.state.reports) > 0
    assert frames.shape == (GEOMETRY.windows, 16, 5, 4, 4)
    assert scheduler.state.timeline.shape == (16, 9, 4, 4)
    assert mismatch(frames, GEOMETRY) == 0.0


def test_the_pipeline_and_our_own_loop_agree(wan):
    """The same network, guided by hand, walked by `sample` over the pipeline's own sigmas."""
    config = FlowLongConfig(seed=3)
    scheduler = coupled(config)
    run_wan(wan, scheduler, scheduler.start_latents(16, 4, 4))
    prompts = torch.randn(GEOMETRY.windows, 6, 32, generator=torch.Generator().manual_seed(9))
    prompts = torch.nn.functional.pad(prompts, (0, 0, 0, 0))

    def network(x, t, which):
        timestep = torch.full((len(x),), 1000 * t)
        wanted, null = (
            wan.transformer(x, timestep, text[which.start : which.stop], return_dict=False)[0]
            for text in (prompts, torch.zeros_like(prompts))
        )
        return null + 3.0 * (wanted - null)

    with torch.no_grad():
        *_, last = sample(
            network, begin((16, 5, 4, 4), GEOMETRY, config), scheduler.sigmas.tolist(), GEOMETRY,
            config,
        )  # fmt: skip
    torch.testing.assert_close(last.timeline, scheduler.state.timeline, rtol=1e-4, atol=1e-4)


def test_microbatches_in_the_pipeline_change_nothing_but_memory():
    whole, split = wan_pipeline(), wan_pipeline()
    rows = []
    split.transformer.patch_embedding.register_forward_pre_hook(
        lambda module, given: rows.append(len(given[0]))
    )
    microbatched(split.transformer, 2)
    states = []
    for pipe in (whole, split):
        scheduler = coupled()
        run_wan(pipe, scheduler, scheduler.start_latents(16, 4, 4))
        states.append(scheduler.state.timeline)
    assert GEOMETRY.windows == 3 and set(rows) == {2, 1}
    torch.testing.assert_close(states[0], states[1], rtol=1e-5, atol=1e-5)


def test_a_killed_pipeline_goes_on_where_it_was(wan):
    states = []
    scheduler = coupled(on_step=states.append)
    run_wan(wan, scheduler, scheduler.start_latents(16, 4, 4))
    resumed = coupled()
    run_wan(wan, resumed, resumed.resume(states[1]))
    assert resumed.state.step == STEPS
    assert torch.equal(resumed.state.timeline, states[-1].timeline)


def test_a_batch_that_is_not_the_windows_is_refused(wan):
    scheduler = coupled()
    latents = scheduler.start_latents(16, 4, 4)
    scheduler.geometry = WindowGeometry(5, 2, 20)
    with pytest.raises(ValueError, match="windows"):
        run_wan(wan, scheduler, latents)


def test_one_stochastic_window_is_diffusers_own_stochastic_sampling():
    """The stock class has the same formula for a single window, but for where its noise is from."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    geometry = WindowGeometry(5, 2, 5)
    ours = FlowLongScheduler(shift=3.0)
    ours.couple(geometry, FlowLongConfig("sde", seed=1))
    stock = FlowMatchEulerDiscreteScheduler(shift=3.0, stochastic_sampling=True)
    x = ours.start_latents(4, 2, 2)
    v = torch.randn(x.shape, generator=torch.Generator().manual_seed(2))
    for scheduler in (ours, stock):
        scheduler.set_timesteps(4)
        scheduler.set_begin_index(0)
    t = ours.timesteps[0]
    generator = torch.Generator().manual_seed(1 * 1_000_003 + 1)  # what ours draws for step 1
    expected = stock.step(v, t, x, generator=generator, return_dict=False)[0]
    torch.testing.assert_close(ours.step(v, t, x, return_dict=False)[0], expected)


def test_ltx_tokens_are_unpacked_inside_the_step():
    pipe = ltx_pipeline()
    layout = FrameMajorTokens(2, 3)
    scheduler = FlowLongScheduler.from_config(pipe.scheduler.config)
    scheduler.couple(GEOMETRY, FlowLongConfig(), unpack=layout.unpack, pack=layout.pack)
    pipe.scheduler = scheduler
    prompts = torch.randn(GEOMETRY.windows, 6, 32, generator=torch.Generator().manual_seed(9))
    mask = torch.ones(GEOMETRY.windows, 6)
    tokens = pipe(
        prompt_embeds=prompts, prompt_attention_mask=mask,
        negative_prompt_embeds=torch.zeros_like(prompts), negative_prompt_attention_mask=mask,
        height=64, width=96, num_frames=33, num_inference_steps=STEPS, guidance_scale=3.0,
        latents=scheduler.start_latents(8, 2, 3), output_type="latent",
    ).frames  # fmt: skip
    assert tokens.shape == (GEOMETRY.windows, 5 * 2 * 3, 8)
    assert [report.after for report in scheduler.state.reports] == [0.0] * STEPS
    assert mismatch(layout.unpack(tokens), GEOMETRY) == 0.0
    torch.testing.assert_close(
        pipe._unpack_latents(tokens, 5, 2, 3, 1, 1), layout.unpack(tokens), rtol=0, atol=0
    )


def test_ltx_latents_are_decoded_as_the_pipeline_does():
    pipe = ltx_pipeline()

    def made(output: str):
        generator = torch.Generator().manual_seed(0)
        return pipe(
            prompt="a cat", height=32, width=64, num_frames=17, num_inference_steps=2,
            guidance_scale=1.0, generator=generator, output_type=output,
        ).frames  # fmt: skip

    latents = pipe._unpack_latents(made("latent"), 3, 1, 2, 1, 1)[0]
    decoded = (pipelines.decode(pipe, latents) / 2 + 0.5).clamp(0, 1)
    torch.testing.assert_close(decoded.transpose(0, 1), made("pt")[0], rtol=1e-4, atol=1e-5)
