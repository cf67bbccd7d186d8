"""A bounded memory with ends, against a dict."""

import gc
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrapylon._core.memo import Memo


class Value:
    pass


KEYS = st.binary(max_size=3)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), KEYS, st.integers(0, 40)),
        st.tuples(st.just("get"), KEYS, st.just(0)),
        st.tuples(st.just("clear"), st.just(b""), st.just(0)),
    ),
    max_size=120,
)


@given(STEPS)
def test_below_its_bound_it_is_a_dict_with_ends(steps: list[tuple[str, bytes, int]]) -> None:
    memo, model = Memo(1000), dict[bytes, tuple[object, int]]()
    for now, (what, key, life) in enumerate(steps):
        if what == "set":
            value = Value()
            memo.set(key, value, now + life)
            model[key] = (value, now + life)
        elif what == "clear":
            memo.clear()
            model.clear()
            assert memo.count == 0
        else:
            value, ends = model.get(key, (None, 0))  # type: ignore[assignment]
            assert memo.get(key, now) is (value if ends > now else None)
    assert memo.count <= len(model)


@given(st.integers(1, 40), st.lists(st.integers(0, 200), max_size=300))
def test_it_never_holds_more_and_always_the_last(most: int, keys: list[int]) -> None:
    memo = Memo(most)
    for key in keys:
        memo.set(b"%d" % key, key, 1.0)
        assert memo.count <= most
        assert memo.get(b"%d" % key, 0.0) == key
    known = [key for key in set(keys) if memo.get(b"%d" % key, 0.0) is not None]
    assert len(known) == memo.count == min(most, len(set(keys)))


def test_what_is_asked_for_outlives_what_is_not() -> None:
    memo = Memo(100)
    memo.set(b"kept", 1, 1.0)
    for i in range(10_000):
        memo.set(b"%d" % i, i, 1.0)
        assert memo.get(b"kept", 0.0) == 1


def test_what_is_over_is_let_go() -> None:
    memo, value = Memo(4), Value()
    alive = weakref.ref(value)
    memo.set(b"k", value, 5.0)
    del value
    assert memo.get(b"k", 4.9) is alive()
    assert memo.get(b"k", 5.0) is None
    gc.collect()
    assert alive() is None


def test_it_frees_what_it_holds() -> None:
    memo, value = Memo(4), Value()
    alive = weakref.ref(value)
    for i in range(6):
        memo.set(b"%d" % i, value, 5.0)
    memo.set(b"5", value, 6.0)
    del value, memo
    assert alive() is None


@pytest.mark.parametrize("most", [0, 2**30])
def test_a_bound_is_needed(most: int) -> None:
    with pytest.raises(ValueError, match="number of entries"):
        Memo(most)
