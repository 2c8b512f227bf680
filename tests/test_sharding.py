"""The shares of all processes are all items, each once; a launcher says whose is whose."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmdm.errors import InputError
from lmdm.sharding import Shard


@given(items=st.lists(st.integers()), count=st.integers(1, 9))
def test_shares_are_everything_once_and_equal_within_one(items: list[int], count: int) -> None:
    numbered = list(enumerate(items))
    shares = [Shard(number, count).share(numbered) for number in range(1, count + 1)]
    assert sorted(each for share in shares for each in share) == numbered
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize(
    "text", ["", "0/2", "3/2", "1", "1/0", "-1/2", "1/2/3", "a/b", "1/9999999"]
)
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="a shard is K/N"):
        Shard.parse(text)


def test_a_launcher_says_whose_share_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert Shard.of_this_process().whole
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert Shard.of_this_process() == Shard.parse("4/8") == Shard(4, 8)
