"""The three questions: is the system broken, does a change pay, who maintains it? And what follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from tetrapylon.assess.result import (
    Answer,
    Assessment,
    Costs,
    Limits,
    Load,
    Quantile,
    Range,
    Split,
    Team,
    Verdict,
)
from tetrapylon.assess.wording import milliseconds, number, percent, points, several

__all__ = ["NOTICED_MS", "NOTICED_SHARE", "verdict_of"]

NOTICED_SHARE = 0.2
"""People notice that something takes less time from about a fifth on (Weber's law; Seow 2008)."""
NOTICED_MS = 10.0
"""Less than one frame of a screen."""
BROKEN_ERRORS = 0.01
SLOWER = 1.5
"""How many times its calm own time makes a gateway slow under load."""
YEAR = 12.0
ROOM = 3.0
"""So many times today's traffic are room enough where growth is not known."""
ONE_PERSON = 0.8
"""The share of commits from which on a code is one person's."""

YES, NO, PERHAPS, CANNOT = "yes", "no", "perhaps", "cannot tell"
LEAVE, CHANGE, RELIEVE, FIND_OUT = "leave it alone", "change it", "relieve it", "find out first"


class Found(NamedTuple):
    """One finding: what it answers, and in words."""

    answer: str
    text: str


def verdict_of(told: Assessment) -> Verdict:
    broken = list(_broken(told.load, told.limits))
    users, growth, money = _users(told.split), _growth(told.limits), _money(told.costs)
    answers = [
        _answer("Is the system broken?", _is_broken(broken), broken),
        _answer("Does a change pay?", _pays(users, growth, money), [users, growth, money]),
        _answer("Who maintains it?", _who(told.team), list(_team(told.team, told.costs))),
    ]
    advice, why = _advice(answers[0].answer, users.answer, growth.answer, money.answer, told)
    return Verdict(advice=advice, why=why, answers=answers, unsure=list(_unsure(told)))


def _answer(question: str, answer: str, found: list[Found]) -> Answer:
    return Answer(question=question, answer=answer, because=[each.text for each in found])


# ---- is it broken?


def _is_broken(found: list[Found]) -> str:
    said = {each.answer for each in found}
    for answer in (YES, PERHAPS):
        if answer in said:
            return answer
    return NO if said == {NO} else CANNOT if said == {CANNOT} else "no sign of it"


def _broken(load: Load | None, limits: Limits | None) -> Iterator[Found]:
    if load is None:
        yield Found(CANNOT, "there is no log with times of day to go by")
        return
    share = percent(load.errors) if load.errors else "none"
    yield Found(YES if load.errors >= BROKEN_ERRORS else NO, f"{share} of its answers are errors (5xx)")
    if limits is not None and limits.utilisation is not None:
        yield _slots(limits, limits.utilisation)
    if limits is not None and limits.cpu_utilisation is not None:
        yield _cpu(limits, limits.cpu_utilisation)
    if limits is not None and limits.headroom is None:
        yield Found(CANNOT, "how far its limit is cannot be told: " + "; ".join(limits.notes))
    if load.own_ms_calm and load.own_ms_pressed is not None:
        slow = (
            load.own_ms_pressed >= SLOWER * load.own_ms_calm and load.own_ms_pressed - load.own_ms_calm >= 1
        )
        yield Found(
            PERHAPS if slow else NO,
            f"its own part of a request takes {milliseconds(load.own_ms_pressed)} in the busiest minutes and"
            f" {milliseconds(load.own_ms_calm)} in calm ones: {'it slows' if slow else 'it does not slow'}"
            " down under load",
        )


def _slots(limits: Limits, use: float) -> Found:
    slots = several(limits.slots or 0, "request")
    if limits.wait_ms is None:
        return Found(YES, f"in the busiest minute all of the {slots} that it can take are under way")
    wait = f"one waits {milliseconds(limits.wait_ms)} for its turn" if limits.wait_ms >= 0.1 else "none waits"
    text = f"in the busiest minute {percent(use)} of the {slots} that it can take are under way, and {wait}"
    if _full(limits):
        return Found(YES, f"{text}: they queue")
    room = (
        "" if limits.slots_headroom is None else f"; {number(limits.slots_headroom)} times the traffic fits"
    )
    return Found(NO, text + room)


def _cpu(limits: Limits, use: float) -> Found:
    full = limits.cpu_headroom is not None and limits.cpu_headroom <= 1
    if not limits.cpu_is_bound:
        return Found(YES if full else NO, f"its cores are {percent(use)} busy at the peak")
    if full:
        return Found(CANNOT, "its own time is more than its cores have, so some of it is waiting: say --cpu")
    room = "" if limits.cpu_headroom is None else f"; {number(limits.cpu_headroom)} times the traffic fits"
    return Found(NO, f"its own time keeps its cores at most {percent(use)} busy at the peak{room}")


# ---- does a change pay?


def _pays(users: Found, growth: Found, money: Found) -> str:
    said = {users.answer, growth.answer, money.answer}
    for answer in (YES, PERHAPS):
        if answer in said:
            return answer
    return users.answer


def _users(split: Split | None) -> Found:
    known = [] if split is None else [each for each in split.quantiles if each.share is not None]
    if split is None:
        return Found(CANNOT, "users: there is no log to go by")
    if split.cannot_tell or not known:
        why = split.cannot_tell or "too few requests for an interval that says something"
        return Found(CANNOT, f"users: what they would win cannot be told from these logs: {why}")
    sure = next((each for each in known if _noticed(each, _least)), None)
    maybe = next((each for each in known if each.q <= 0.95 and _noticed(each, _plausible)), None)
    if sure is not None and sure.q <= 0.95:
        return Found(YES, f"users: {_win(sure)}, and would notice")
    if sure is not None:
        return Found(PERHAPS, f"users: {_win(sure)}, and would notice, one request in a hundred")
    if maybe is not None:
        return Found(PERHAPS, f"users: {_win(maybe)}, and may notice or not")
    return Found(NO, f"users: {_win(known[0])}, and would not notice")


def _noticed(each: Quantile, of: Callable[[Range], float]) -> bool:
    if each.share is None or each.win is None:
        return False
    return of(each.share) >= NOTICED_SHARE and of(each.win) >= NOTICED_MS


def _least(told: Range) -> float:
    return told.low


def _plausible(told: Range) -> float:
    """Half way to the end, which all allowances together reach in one case of a hundred."""
    return (told.value + told.high) / 2


def _win(each: Quantile) -> str:
    share = "" if each.share is None else f", {points(each.share)} less"
    to = "" if each.upstream is None else f" instead of {milliseconds(each.total)}{share}"
    return (
        f"with a gateway that took no time at all they would wait {milliseconds(each.upstream or 0.0)}{to},"
        f" at p{100 * each.q:g}"
    )


def _growth(limits: Limits | None) -> Found:
    if limits is None or limits.headroom is None:
        return Found(CANNOT, "growth: how far the limit is cannot be told")
    times = f"{number(limits.headroom)} times today's traffic"
    arrival = limits.arrival
    if limits.headroom <= 1:
        return Found(YES, "growth: the limit is met today")
    if arrival is None:
        why = f" ({limits.no_trend})" if limits.no_trend else ""
        known = NO if limits.headroom >= ROOM else CANNOT
        return Found(
            known, f"growth: the limit is at {times}; how traffic grows is not known{why}: say --growth"
        )
    rate = f"{percent(arrival.growth)} a month, {arrival.source}"
    if arrival.soonest is None:
        return Found(NO, f"growth: the limit, {times}, is not met within ten years ({rate})")
    ends = [
        "ten years or more" if each is None else number(each)
        for each in (arrival.soonest, arrival.months, arrival.latest)
    ]
    when = f"{ends[1]} months" + (f" ({ends[0]} to {ends[2]})" if ends[0] != ends[2] else "")
    sure = arrival.latest is not None and arrival.latest <= YEAR
    answer = YES if sure else PERHAPS if arrival.soonest <= YEAR else NO
    return Found(answer, f"growth: the limit, {times}, is met in {when} ({rate})")


def _money(costs: Costs | None) -> Found:
    if costs is None or costs.now.money is None or not costs.options:
        why = "; ".join(costs.notes) or "say --cores and --memory" if costs else "there is no log to go by"
        return Found(CANNOT, f"money: cannot be told: {why}")
    best = max(costs.options, key=lambda each: each.saves or 0.0)
    if best.saves is None or best.saves <= 0:
        return Found(NO, f"money: nothing is saved of the {number(costs.now.money)} a month")
    spare = max(0.0, (costs.needed.saves if costs.needed else None) or 0.0)
    text = f"money: {best.title} would save {number(best.saves)} of {number(costs.now.money)} a month"
    if spare:
        text += f", {number(spare)} of it also without it, by giving back what is not used"
    gain = best.saves - spare
    if best.pays_back_months is None:
        return Found(
            CANNOT, f"{text}; that pays within a year if the change costs less than {number(YEAR * gain)}"
        )
    if gain <= 0:
        return Found(NO, f"{text}; the change is never paid back")
    months = best.pays_back_months * best.saves / gain
    return Found(YES if months <= YEAR else NO, f"{text}; the change is paid back in {number(months)} months")


# ---- who maintains it?


def _who(team: Team | None) -> str:
    if team is None:
        return CANNOT
    if not team.authors:
        return "nobody"
    if team.authors == 1 or team.first >= ONE_PERSON:
        return "one person"
    return several(team.authors, "person", "people")


def _team(team: Team | None, costs: Costs | None) -> Iterator[Found]:
    if team is None:
        yield Found(CANNOT, "no repository was given: say --repo")
        return
    people = several(team.authors, "person", "people")
    first = f"; the first of them made {percent(team.first)} of {several(team.commits, 'commit')}"
    yield Found(NO, f"{people} changed the code within a year{first if team.authors else ''}")
    for each in team.languages[:4]:
        who = several(each.authors, "person", "people")
        yield Found(NO, f"{each.name}, {percent(each.share)} of the code, was changed by {who} within a year")
    written = {option.written_in for option in costs.options} if costs else set()
    for language in sorted(written - {"configuration"} - {each.name for each in team.languages}):
        yield Found(NO, f"{language}: nobody changed any here; a gateway in it would be its author's alone")


# ---- what follows


def _advice(broken: str, users: str, growth: str, money: str, told: Assessment) -> tuple[str, str]:
    limits = told.limits
    if broken == YES:
        return CHANGE if users == YES else RELIEVE, _why_broken(told) + _caution(told)
    if users == YES:
        return CHANGE, "Users would notice: much of their time is the gateway's own." + _caution(told)
    if growth == YES:
        if (
            limits is not None
            and limits.slots_headroom is not None
            and limits.slots_headroom == limits.headroom
        ):
            return RELIEVE, f"Growth meets the limit of its workers within a year. {WAITING}{_caution(told)}"
        text = "Growth meets the limit of its cores within a year: a gateway that needs less CPU moves it."
        return CHANGE, text + _caution(told)
    if money == YES:
        text = "It pays back within a year in cores and memory, though users will not notice."
        return CHANGE, text + _caution(told)
    if users == CANNOT:
        do = f" To know: {told.split.do}." if told.split is not None and told.split.do else ""
        return FIND_OUT, f"What users would win comes first, and these logs do not say it.{do}"
    if PERHAPS in (users, growth, broken):
        return FIND_OUT, "It is near the line: more of the log, or measuring live, will tell."
    state = "It is not broken" if broken == NO else "There is no sign that it is broken"
    room = ""
    if limits is not None and limits.headroom is not None:
        room = f", {number(limits.headroom)} times its traffic would fit"
    text = f"{state}{room}, and users would not notice a faster one."
    if money == CANNOT and told.costs is not None and told.costs.now.money is not None:
        text += " What is left is money: hold what is saved against what a change costs."
    return LEAVE, text + _known_by(told.team)


WAITING = (
    "More workers or threads move it, and so does an asynchronous gateway in front, which holds requests that"
    " wait for upstreams at no cost; faster code does not."
)


def _why_broken(told: Assessment) -> str:
    load, limits = told.load, told.limits
    reasons = []
    if load is not None and load.errors >= BROKEN_ERRORS:
        reasons.append(
            "Find out where the errors come from: a faster gateway passes on those of its upstreams."
        )
    if limits is not None and _full(limits):
        own = None if load is None or load.own_ms is None else load.own_ms / load.request_ms
        reasons.append(
            f"Its workers are full, mostly of requests that wait for upstreams. {WAITING}"
            if own is not None and own < 0.5
            else "Its workers are full of work: more of them help now, a gateway that needs less for good."
        )
    if limits is not None and not limits.cpu_is_bound and (limits.cpu_headroom or 2.0) <= 1:
        reasons.append("Its cores are full: more of them help now, a gateway that needs less CPU for good.")
    return "It is at its limit or failing. " + " ".join(reasons)


def _full(limits: Limits) -> bool:
    if limits.utilisation is None:
        return False
    return limits.wait_ms is None or (limits.slots_headroom is not None and limits.slots_headroom <= 1)


def _caution(told: Assessment) -> str:
    team = told.team
    if team is None:
        return " Who would maintain the next one is a question of its own: say --repo."
    main = max(team.languages, key=lambda each: each.authors, default=None)
    if main is None or not team.authors:
        return " Nobody has changed the present one for a year: see first who would own the next."
    people = several(main.authors, "person writes", "people write")
    return f" {people} {main.name} here: one in another language is for fewer."


def _known_by(team: Team | None) -> str:
    if team is None or not team.authors:
        return ""
    if team.authors == 1 or team.first >= ONE_PERSON:
        return " But it is in one person's hands: that is what to change, and no other gateway does it."
    return f" And {several(team.authors, 'person knows', 'people know')} it, which a new one would give up."


def _unsure(told: Assessment) -> Iterator[str]:
    if told.split is not None and not told.split.cannot_tell:
        yield "Intervals hold the truth 99 times in 100, for traffic like that in the log."
        if told.log is None or any("tetrapylon" not in each for each in told.log.formats):
            yield "Clients that send or read slowly count as the gateway's time: its part is rather less."
    if told.limits is not None and told.limits.cpu_is_bound and told.limits.cpu_ms is not None:
        yield "Its CPU time was not told: all of its own time stands for it, so needs are upper bounds."
    if told.limits is not None and told.limits.slots is not None:
        yield "Waits are those of random arrivals (Erlang C); bursts within a minute wait longer."
    if told.costs is not None and told.costs.options:
        yield f"Alternatives: {told.costs.source}; elsewhere ratios differ."
