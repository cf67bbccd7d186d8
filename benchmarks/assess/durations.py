"""Durations by a recipe and a request's number: the same number always gets the same, on whatever way."""

import math
import random

__all__ = ["seconds"]


def seconds(recipe: str, number: int) -> float:
    """What a recipe says of one request; its numbers are milliseconds.

    `30`; `25..35`, evenly; `lognormal MEDIAN SIGMA`; `tail MIDDLE SHARE LONGEST`, around the middle but for a
    share with a Pareto tail; `two ONE OTHER SHARE`, of two kinds. Raises ValueError.
    """
    chance = random.Random(f"{recipe}, {number}")
    kind, *rest = recipe.split()
    values = [float(each) for each in rest]
    if kind == "lognormal":
        median, sigma = values
        return median * math.exp(chance.gauss(0, sigma)) / 1000
    if kind == "tail":
        middle, share, longest = values
        if chance.random() < share:
            return min(longest, 1.5 * middle * chance.paretovariate(2)) / 1000
        return middle * chance.uniform(0.9, 1.1) / 1000
    if kind == "two":
        one, other, share = values
        return (other if chance.random() < share else one) / 1000
    low, _, high = kind.partition("..")
    return chance.uniform(float(low), float(high or low)) / 1000
