"""What balancing, health, retries and breakers mean together, beyond the types of their keys."""

from __future__ import annotations

from tetrapylon.config.model import Breaker, Config, Discover, Dns, Split, Upstream
from tetrapylon.config.shape import FAILED, nearest
from tetrapylon.config.tree import Path, Report
from tetrapylon.discovery.registry import SettingsError, settings_of
from tetrapylon.errors import LoadError

__all__ = ["check_split", "check_upstreams", "upstream_known"]


def check_upstreams(config: Config, report: Report) -> None:
    for name, upstream in config.upstreams.items():
        if upstream is not FAILED:
            _servers(upstream, (upstream.section, name), report)
            _balance(upstream, (upstream.section, name), report)
            _health(upstream, (upstream.section, name, "health"), report)
            _breakers(upstream, (upstream.section, name, "breaker"), report)
            _limit(upstream, (upstream.section, name, "adaptive_limit"), report)
            _retry(upstream, (upstream.section, name, "retry"), report)


def _servers(upstream: Upstream, path: Path, report: Report) -> None:
    """Some targets, or a place where they are found."""
    discover = upstream.discover
    if upstream.app:
        return
    if report.touched((*path, "targets")) or report.touched((*path, "discover")):
        return
    if discover is None:
        if not upstream.targets and not report.refused(path):
            report.add(path, "`targets` is missing", "expected a list, or `discover`")
        return
    path = (*path, "discover")
    given = [key for key in ("dns", "file", "etcd", "use") if getattr(discover, key) is not None]
    if len(given) != 1:
        hint = "give one of dns, file, etcd and use"
        what = "it does not say how" if not given else f"{' and '.join(given)} are two ways"
        report.add(path, f"targets are to be found, and {what}", hint)
    elif discover.settings and discover.use is None:
        report.add(
            (*path, "settings"), "there is no class of yours to give them to", "leave it out", key=True
        )
    elif discover.use is not None:
        _registry(discover, path, report)
    elif discover.dns is not None:
        _dns(discover.dns, upstream, (*path, "dns"), report)
    elif discover.etcd is not None and (discover.etcd.user is None) != (discover.etcd.password is None):
        hint = "give both, or neither"
        report.add((*path, "etcd"), "there is a user without a password, or a password without a user", hint)


def _dns(dns: Dns, upstream: Upstream, path: Path, report: Report) -> None:
    from importlib.util import find_spec

    if dns.srv and dns.port is not None:
        report.add((*path, "port"), "SRV records tell the ports", "leave it out", key=True)
    elif not dns.srv and dns.port is None:
        report.add(path, "`port` is missing", "expected the port of the servers, or `srv: true`")
    if dns.srv and not dns.name.startswith("_"):
        hint = f"did you mean _{dns.scheme}._tcp.{dns.name}?"
        report.add((*path, "name"), "SRV records have names of the form _service._proto.name", hint)
    if dns.least > dns.most:
        report.add((*path, "least"), "the least time is above `most`", f"expected at most {dns.most:g}s")
    if dns.srv and dns.scheme == "https" and upstream.tls.server_name is None:
        hint = "give it as tls.server_name"
        report.add((*path, "scheme"), "no certificate names a service: the name to verify is missing", hint)
    if find_spec("aiodns") is None:
        report.add(path, "looking names up by their TTL needs aiodns", 'pip install "tetrapylon[dns]"')


def _registry(discover: Discover, path: Path, report: Report) -> None:
    from tetrapylon.config.code import report_load

    try:
        settings_of(discover)
    except LoadError as error:
        report_load((*path, "use"), error, report)
    except SettingsError as error:
        report.add((*path, "settings", *error.path), error.message)


def _balance(upstream: Upstream, path: Path, report: Report) -> None:
    balance = upstream.balance
    if balance is FAILED or isinstance(balance, str) or report.touched((*path, "balance")):
        return
    if (balance.consistent_hash is None) == (balance.sticky_cookie is None):
        hint = "give one of consistent_hash and sticky_cookie"
        report.add((*path, "balance"), "this does not say how a target is picked", hint)


def _health(upstream: Upstream, path: Path, report: Report) -> None:
    passive = upstream.health.passive if upstream.health is not FAILED else None
    if report.touched(path) or passive is None:
        return
    path = (*path, "passive")
    if passive.consecutive_failures is None and passive.failure_rate is None and passive.latency is None:
        hint = "give consecutive_failures, failure_rate or latency"
        report.add(path, "there is no rule by which a target is ejected", hint)
    if passive.longest < passive.eject:
        hint = f"expected at least {passive.eject:g}s"
        report.add((*path, "longest"), "the longest ejection is shorter than the first", hint)
    if passive.failure_rate == 0:
        report.add((*path, "failure_rate"), "0% ejects every target", "expected more, or leave it out")


def _breakers(upstream: Upstream, path: Path, report: Report) -> None:
    if report.touched(path):
        return
    for key in ("target", "upstream"):
        breaker: Breaker | None = getattr(upstream.breaker, key)
        if breaker is None:
            continue
        if breaker.failure_rate is None and breaker.slow_rate is None:
            hint = "give failure_rate or slow_rate"
            report.add((*path, key), "there is no rule by which it opens", hint)
        for rate in ("failure_rate", "slow_rate"):
            if getattr(breaker, rate) == 0:
                report.add((*path, key, rate), "0% opens it at once", "expected more, or leave it out")


def _limit(upstream: Upstream, path: Path, report: Report) -> None:
    adaptive = upstream.adaptive_limit
    if adaptive is None or report.touched(path) or report.touched((*path[:2], "pool")):
        return
    if adaptive.least > upstream.pool.max_connections:
        hint = f"expected at most {upstream.pool.max_connections}, which is pool.max_connections"
        report.add((*path, "least"), "the least limit is above the most connections", hint)
    elif adaptive.initial < adaptive.least:
        report.add(
            (*path, "initial"), "the limit starts below its least", f"expected at least {adaptive.least}"
        )


def _retry(upstream: Upstream, path: Path, report: Report) -> None:
    retry = upstream.retry
    if retry is None or report.touched(path):
        return
    if not retry.on:
        report.add((*path, "on"), "nothing is a reason to try again", "name one, or leave `retry` out")
    if (
        retry.hedge is not None
        and len(upstream.targets) < 2
        and upstream.discover is None
        and not upstream.app
    ):
        hint = "give a second target, or leave it out"
        report.add((*path, "hedge"), "there is no second target to ask", hint, key=True)
    if retry.try_timeout is not None and "timeout" not in retry.on:
        hint = "add timeout to `on`, or leave it out"
        report.add((*path, "try_timeout"), "a timeout is no reason to try again here", hint, key=True)


def check_split(split: Split, path: Path, config: Config, report: Report) -> None:
    consumers = {consumer.name for consumer in config.consumers if consumer is not FAILED}
    for index, branch in enumerate(split.to or ()):
        here: Path = (*path, "to", index)
        if branch is FAILED or report.touched(here):
            continue
        upstream_known(branch.upstream, (*here, "upstream"), config, report)
        conditions = branch.headers or branch.cookies or branch.consumers
        if branch.weight is None and not conditions:
            hint = "give weight, headers, cookies or consumers"
            report.add(here, "the branch does not say which requests take it", hint)
        elif branch.weight is not None and conditions:
            hint = "make two branches of it"
            report.add((*here, "weight"), "a branch names requests or has a share", hint, key=True)
        for at, name in enumerate(branch.consumers):
            if name not in consumers and not report.touched(("consumers",)):
                report.add(
                    (*here, "consumers", at), f"there is no consumer {name!r}", "name one of `consumers`"
                )
    if not report.touched(path) and not sum(branch.weight or 0 for branch in split.to):
        report.add((*path, "to"), "the weights come to nothing", "give a branch a weight above 0")


def upstream_known(name: str, path: Path, config: Config, report: Report) -> None:
    if name in config.upstreams or (not config.upstreams and report.touched(("upstreams",))):
        return
    close = nearest(name, config.upstreams)
    known = ", ".join(sorted(config.upstreams)[:10]) or "one in `upstreams`"
    hint = f"did you mean {close!r}?" if close else f"expected {known}"
    report.add(path, f"there is no upstream {name!r}", hint)
