"""The governor acts before the sound runs out, lets go slowly, and says why."""

import itertools

from lmdm.live.governor import CALM_SECONDS, HOLD_SECONDS, REST_SECONDS, Economy, Governor, ladder

BLOCK = 0.186
LEVELS = ladder(coarse=False)


def cost(level: int) -> float:
    return LEVELS[level].cost


def run(governor: Governor, factor, seconds: float, ahead: float = 1.5, lead: float = 1.5):
    """Levels block by block of a machine that needs `factor(level)` of its time."""
    levels, now = [], getattr(governor, "now", 0.0)
    for _ in range(round(seconds / BLOCK)):
        now += BLOCK
        taken = factor(governor.level)
        ahead = min(lead, ahead + BLOCK * (1.0 - taken))
        levels.append(governor.decide(now, taken, ahead, lead))
    governor.now, governor.ahead = now, ahead
    return levels


def test_a_fast_machine_gives_nothing_up():
    governor = Governor(LEVELS)
    assert set(run(governor, lambda level: 0.5, 60.0)) == {0}
    assert governor.words(1.5) == ""


def test_a_slow_machine_gives_up_before_the_sound_runs_out():
    governor = Governor(LEVELS)
    levels = run(governor, lambda level: 1.3 * cost(level), 20.0)
    assert governor.ahead > 0.3
    assert levels[-1] == 2
    assert governor.words(1.5) == "1/2 of the steps: the engine needs 98 % of its time"


def test_a_lead_that_does_not_come_back_is_noticed():
    governor = Governor(LEVELS)
    run(governor, lambda level: 0.3, 5.0)
    assert governor.decide(100.0, 0.8, 0.2, 1.5) == 0
    assert governor.decide(101.5, 0.8, 0.2, 1.5) == 1
    assert "200 ms" in governor.reason


def test_sound_taken_back_by_controls_is_no_danger_to_a_quick_engine():
    governor = Governor(LEVELS)
    run(governor, lambda level: 0.3, 5.0)
    assert [governor.decide(100.0 + n, 0.3, 0.1, 1.5) for n in range(10)] == [0] * 10


def test_a_lead_that_was_never_there_is_no_danger():
    governor = Governor(LEVELS)
    assert governor.decide(1.0, 0.3, 0.0, 1.5) == 0


def test_it_lets_go_slowly_and_does_not_swing():
    governor = Governor(LEVELS)
    run(governor, lambda level: 1.2, 4.0)
    assert governor.level == 4
    after = run(governor, lambda level: 0.3 * cost(level), 60.0, ahead=0.5)
    assert after[-1] == 0
    changes = [i for i in range(1, len(after)) if after[i] != after[i - 1]]
    assert len(changes) == 4
    assert min(b - a for a, b in itertools.pairwise(changes)) * BLOCK >= REST_SECONDS
    # a machine on the edge settles: what it can only just do with economy it does not leave
    edge = Governor(LEVELS)
    levels = run(edge, lambda level: 0.95 * cost(level), 120.0)
    assert sum(a != b for a, b in itertools.pairwise(levels)) <= 2


def test_steps_up_are_taken_one_at_a_time():
    governor = Governor(LEVELS)
    levels = run(governor, lambda level: 2.0, 10.0)
    changes = [i for i in range(1, len(levels)) if levels[i] != levels[i - 1]]
    assert min(b - a for a, b in itertools.pairwise(changes)) * BLOCK >= HOLD_SECONDS


def test_switched_off_it_gives_nothing_up():
    governor = Governor(LEVELS)
    run(governor, lambda level: 2.0, 3.0)
    governor.on = False
    assert governor.decide(100.0, 2.0, 0.0, 1.5) == 0


def test_there_is_always_one_step():
    assert Economy(0.25).steps_of(1) == 1


def test_guidance_goes_last_and_the_decoder_first():
    given_up = [str(each) for each in ladder(coarse=True)]
    assert given_up[1] == "decoder in 16 bits"
    assert [index for index, each in enumerate(ladder(True)) if not each.guided] == [5]
    costs = [each.cost for each in ladder(True)]
    assert costs == sorted(costs, reverse=True) and len(set(costs)) == len(costs)


def test_a_stall_deepens_the_lead_until_there_was_calm():
    governor = Governor(LEVELS)
    run(governor, lambda level: 0.3, 5.0)
    governor.watch(10.0, 0.05, 1.5)
    assert governor.lead(1.5) == 1.5
    governor.watch(11.0, 0.9, 1.5)
    assert governor.lead(1.5) > 1.5
    assert governor.words(1.5) == "2.2 s made ahead, not 1.5: a block took 900 ms"
    governor.watch(11.0 + CALM_SECONDS - 1.0, 0.05, 1.5)
    assert governor.lead(1.5) > 1.5
    governor.watch(11.0 + CALM_SECONDS, 0.05, 1.5)
    assert governor.lead(1.5) == 1.5
    assert governor.words(1.5) == ""


def test_a_stall_while_the_lead_is_first_filled_is_none():
    governor = Governor(LEVELS)
    governor.watch(0.0, 5.0, 1.5)
    assert governor.lead(1.5) == 1.5
