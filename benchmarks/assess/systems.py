"""The systems that are looked at: what stands in front of which service, and who asks how.

`FIRST` are those that the estimator's allowances were found with. `JUDGED` were written down before any of
them had been run, and are not for tuning: once a change of the estimator has been made with them in view,
they belong to the first, and others have to be written. `WITHOUT_TIMES` have logs that cannot tell.
"""

from dataclasses import dataclass

__all__ = ["FIRST", "JUDGED", "WITHOUT_TIMES", "System"]


@dataclass(frozen=True, kw_only=True)
class System:
    """Recipes are those of `durations`.

    `server`: nginx, tetrapylon, or a worker class of gunicorn's (sync, gthread, gevent).
    `work`: the gateway's own, which it waits for, or computes (`busy`).
    `arrivals`: `users N`, who each ask one thing after the other; `poisson RATE` a second; `bursts RATE`, a
    second's arrivals in its first quarter.
    `alone`: the share of requests that the gateway answers by itself. `posted`, `answered`: bytes of bodies.
    `retried`: half of the requests go first to a target that refuses the connection.
    `log`: how the log is written, a name of `gateways.LOGS`.
    """

    server: str
    work: str
    service: str = "30"
    arrivals: str = "users 16"
    requests: int = 2240
    workers: int = 1
    threads: int = 1
    busy: bool = False
    keep_alive: bool = True
    keep_alive_behind: bool = True
    alone: float = 0.0
    posted: int = 0
    answered: int = 203
    retried: bool = False
    log: str = ""

    @property
    def title(self) -> str:
        """What is not as usual of it."""
        size = f" {self.workers}x{self.threads}" if self.threads > 1 else f" x{self.workers}"
        parts = [
            self.server + (size if self.workers * self.threads > 1 else ""),
            f"{self.work} ms{' of computing' if self.busy else ''}",
            f"{self.service} ms behind",
            self.arrivals,
            "" if self.keep_alive else "no keep-alive",
            "" if self.keep_alive_behind else "none behind",
            f"{self.alone:.0%} answered alone" if self.alone else "",
            f"{self.posted >> 10} KiB posted" if self.posted else "",
            f"{self.answered >> 10} KiB answered" if self.answered > 1024 else "",
            "retries" if self.retried else "",
            f"log: {self.log}" if self.log else "",
        ]
        return ", ".join(part for part in parts if part)


FIRST = [
    System(server=server, threads=threads, work=work, service=service, log=log)
    for server, threads, log in (
        ("nginx", 1, ""),
        ("gthread", 32, ""),
        ("gthread", 32, "two"),
        ("tetrapylon", 1, ""),
    )
    for work in ("1", "7", "30")
    for service in ("30", "25..35")
]

JUDGED = [
    System(server="sync", workers=4, work="7", arrivals="poisson 45", requests=2080),
    System(server="sync", workers=8, work="1", service="lognormal 30 0.4", arrivals="poisson 80"),
    System(
        server="gthread",
        workers=2,
        threads=8,
        work="7",
        busy=True,
        service="25..35",
        arrivals="poisson 60",
    ),
    System(server="gevent", work="7", service="tail 30 0.06 400", arrivals="poisson 90", log="seconds"),
    System(server="gevent", workers=2, work="30", arrivals="bursts 80"),
    System(
        server="gthread",
        threads=32,
        work="30",
        service="tail 30 0.04 300",
        arrivals="poisson 80",
        keep_alive=False,
    ),
    System(
        server="gthread", workers=2, threads=16, work="two 1 30 0.4", service="25..35", arrivals="poisson 80"
    ),
    System(
        server="gthread",
        workers=2,
        threads=16,
        work="1",
        arrivals="users 12",
        posted=64 << 10,
        keep_alive_behind=False,
    ),
    System(
        server="sync",
        workers=6,
        work="7",
        service="25..35",
        arrivals="poisson 60",
        requests=2600,
        log="two",
    ),
    System(server="gthread", threads=32, work="30", service="lognormal 30 0.25", log="milliseconds"),
    System(
        server="nginx",
        workers=2,
        work="7",
        service="lognormal 30 0.5",
        arrivals="poisson 100",
        log="labels",
    ),
    System(
        server="nginx",
        work="1",
        service="25..35",
        arrivals="poisson 100",
        keep_alive=False,
        keep_alive_behind=False,
        log="json",
    ),
    System(server="nginx", work="lognormal 30 0.3", arrivals="bursts 100"),
    System(server="nginx", work="7", arrivals="poisson 100", retried=True, log="labels"),
    System(server="nginx", work="7", service="tail 30 0.05 400", arrivals="users 8", answered=256 << 10),
    System(
        server="nginx",
        work="7",
        service="25..35",
        arrivals="poisson 120",
        requests=3000,
        alone=0.3,
        posted=16 << 10,
    ),
    System(
        server="tetrapylon",
        workers=2,
        work="7",
        service="tail 30 0.03 500",
        arrivals="poisson 170",
        requests=10_400,
    ),
    System(
        server="tetrapylon",
        work="1",
        busy=True,
        service="25..35",
        arrivals="poisson 90",
        keep_alive=False,
    ),
    System(server="tetrapylon", work="30", arrivals="bursts 90", posted=64 << 10),
    System(
        server="nginx",
        work="30",
        service="lognormal 30 0.3",
        arrivals="poisson 170",
        requests=10_400,
        log="json",
    ),
]

WITHOUT_TIMES = [
    System(server="nginx", work="7", arrivals="poisson 100", requests=1000, log="combined"),
    System(server="nginx", work="7", arrivals="poisson 100", requests=1000, log="whole"),
    System(server="sync", workers=8, work="7", arrivals="poisson 100", requests=1000, log="whole"),
]
