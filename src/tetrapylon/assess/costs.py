"""Cores, memory and money: now, and with each gateway that was measured."""

from __future__ import annotations

import math
from typing import NamedTuple

from tetrapylon.assess.measured import Measured, measured
from tetrapylon.assess.result import Costs, Limits, Load, Option, Range

__all__ = ["BUSY", "Prices", "costs_of"]

BUSY = 0.5
"""How busy cores are to be at the peak."""
GB = 1e9


class Prices(NamedTuple):
    """By month: of a core, of a gigabyte of memory; of the change itself, once."""

    core: float | None
    memory: float | None
    change: float | None


def costs_of(
    present: str | None,
    load: Load,
    limits: Limits,
    *,
    cores: float | None,
    memory: float | None,
    instances: int,
    prices: Prices,
) -> Costs:
    """`present`: which of the measured ones the present gateway is like. `memory` in bytes."""
    figures = measured()
    notes: list[str] = []
    gigabytes = None if memory is None else memory / GB
    now = Option(
        name="now",
        title="now",
        written_in="",
        cpu_ms=None if limits.cpu_ms is None else Range(limits.cpu_ms, limits.cpu_ms, limits.cpu_ms),
        cores=cores,
        memory_gb=gigabytes,
        money=_money(cores, gigabytes, prices),
        saves=None,
        pays_back_months=None,
    )
    needed = None
    options: list[Option] = []
    if limits.cpu_ms is not None:
        own_cores = _cores(load.peak_rate, limits.cpu_ms, instances)
        needed = _option(
            "needed",
            "the same, with what it needs",
            "",
            Range(*[limits.cpu_ms] * 3),
            own_cores,
            gigabytes,
            now,
            prices,
            0.0,
        )
        if present is None:
            notes.append("what the present gateway is like is not known: say --present")
        else:
            options = [
                _measured(name, each, present, limits.cpu_ms, load.peak_rate, instances, now, prices)
                for name, each in figures.systems.items()
                if name != present and not name.startswith(f"{present}-") and present in each.ratios
            ]
    else:
        notes.append(
            "its CPU time to a request is not known: say --cpu, the cores that it keeps busy on average"
        )
    if options:
        notes.append(
            "the ratios are of forwarding alone: what the gateway's own code does beyond it costs about the"
            " same elsewhere, unless that is rewritten, too"
        )
    if prices.core is None and prices.memory is None:
        notes.append("for money, say --core-price and --memory-price")
    return Costs(
        present=figures.systems[present].title if present else "",
        now=now,
        needed=needed,
        options=options,
        source=f"{figures.source} of {figures.date}, {figures.what}, {figures.machine}",
        cpu_is_bound=limits.cpu_is_bound,
        notes=notes,
    )


def _measured(
    name: str,
    each: Measured,
    present: str,
    cpu_ms: float,
    rate: float,
    instances: int,
    now: Option,
    prices: Prices,
) -> Option:
    middle, low, high = each.ratios[present]
    cpu = Range(cpu_ms * middle, cpu_ms * low, cpu_ms * high)
    cores = _cores(rate, cpu.high, instances)
    return _option(
        name, each.title, each.written_in, cpu, cores, each.memory * cores / GB, now, prices, prices.change
    )


def _cores(rate: float, cpu_ms: float, instances: int) -> float:
    """Whole ones, in each of the instances at least one."""
    return float(max(instances, math.ceil(rate * cpu_ms / 1000 / BUSY)))


def _option(
    name: str,
    title: str,
    written_in: str,
    cpu: Range,
    cores: float,
    gigabytes: float | None,
    now: Option,
    prices: Prices,
    change: float | None,
) -> Option:
    money = _money(cores, gigabytes, prices)
    saves = None if money is None or now.money is None else now.money - money
    pays = None
    if saves is not None and change is not None and name != "needed":
        pays = change / saves if saves > 0 else None
    return Option(
        name=name,
        title=title,
        written_in=written_in,
        cpu_ms=cpu,
        cores=cores,
        memory_gb=gigabytes,
        money=money,
        saves=saves,
        pays_back_months=pays,
    )


def _money(cores: float | None, gigabytes: float | None, prices: Prices) -> float | None:
    """None where a price is given for what is not known, or none at all."""
    parts = [(prices.core, cores), (prices.memory, gigabytes)]
    priced = [(price, amount) for price, amount in parts if price is not None]
    if not priced or any(amount is None for _, amount in priced):
        return None
    return sum(price * (amount or 0.0) for price, amount in priced)
