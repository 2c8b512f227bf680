"""What happened is kept whole and in order, in little memory."""

import json
import math

import pytest

from lmdm.live.messages import SetBlend, SetGuidance, SetPrompts, from_dict
from lmdm.live.past import PIECE_LINES, Past
from lmdm.live.take import Applied, Held


def flood(count):
    """What a controller gone mad leaves behind: two knobs and the prompts, a dozen a second."""
    for number in range(count):
        sample, swing = number * 3163, 0.5 + 0.5 * math.sin(number / 7.0)
        if number % 12 == 0:
            yield Applied(sample, SetPrompts((("felt piano", 0.7), ("church choir", 0.3))))
        elif number % 2:
            yield Applied(sample, SetBlend(round(127 * swing) / 127))
        else:
            yield Applied(sample, SetGuidance(4.0 * round(127 * swing) / 127))


@pytest.mark.parametrize("count", [0, 1, PIECE_LINES, 3 * PIECE_LINES + 5])
def test_all_of_it_in_order(count):
    past, entries = Past(), list(flood(count))
    for entry in entries:
        past.add(entry)
    until_then = past.texts()
    past.add(Held(7, 70))
    lines = [json.loads(line) for text in until_then for line in text.splitlines()]
    assert [Applied(each.pop("sample"), from_dict(each)) for each in lines] == entries
    last = "".join(past.texts()).splitlines()[count:]
    assert [json.loads(line) for line in last] == [{"sample": 7, "kind": "hold", "samples": 70}]


def test_hours_of_a_flood_cost_little():
    past = Past()
    sizes = []
    for entry in flood(60 * PIECE_LINES):
        past.add(entry)
        sizes.append(past.size)
    assert sizes[-1] < 25 * len(sizes)  # bytes; as objects each would cost some hundreds
    assert max(sizes) - sizes[-1] < 200 * PIECE_LINES  # what waits to be packed
