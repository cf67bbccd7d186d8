"""The load generator's histogram against sorted lists."""

import math
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from benchmarks.e2e.workshop import TOOLS

PROGRAM = r"""
#include "histogram.h"
#include <stdio.h>
static struct histogram h;
int main(void)
{
    unsigned long long value;
    double shares[] = {0, .5, .9, .99, .999, 1};
    while (scanf("%llu", &value) == 1)
        histogram_add(&h, value);
    for (int i = 0; i < 6; i++)
        printf("%llu ", (unsigned long long)histogram_percentile(&h, shares[i]));
    printf("%llu %.0f\n", (unsigned long long)h.count, h.sum);
    return bucket_of(~0ull) >= BUCKETS;
}
"""
SHARES = (0, 0.5, 0.9, 0.99, 0.999, 1)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if not compiler:
        pytest.skip("no C compiler")
    directory = tmp_path_factory.mktemp("histogram")
    (directory / "main.c").write_text(PROGRAM)
    subprocess.run(
        [compiler, "-Wall", "-Werror", f"-I{TOOLS}", "-o", directory / "main", directory / "main.c"],
        check=True,
    )
    return directory / "main"


def percentiles(program: Path, values: list[int]) -> list[int]:
    text = "\n".join(map(str, values))
    done = subprocess.run([program], input=text, capture_output=True, text=True, check=True)
    *found, count, total = map(int, done.stdout.split())
    assert count == len(values)
    assert total == pytest.approx(sum(values))
    return found


@pytest.mark.parametrize(
    "values",
    [
        [7],
        list(range(1000)),
        [int(random.Random(1).lognormvariate(13, 2)) for _ in range(1)],
        [int(value) for value in map(random.Random(2).lognormvariate, [13] * 20_000, [2] * 20_000)],
        [1 << bit for bit in range(63)],
    ],
    ids=["one", "small", "one large", "lognormal", "powers of two"],
)
def test_percentiles_are_at_most_a_bucket_above_the_true_ones(program: Path, values: list[int]) -> None:
    ordered = sorted(values)
    for share, found in zip(SHARES, percentiles(program, values), strict=True):
        true = ordered[max(0, math.ceil(share * len(ordered)) - 1)]
        assert true <= found <= true * (1 + 1 / 128), share


def test_nothing_recorded_is_zero(program: Path) -> None:
    assert percentiles(program, []) == [0] * 6
