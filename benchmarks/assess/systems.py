"""The systems that are looked at: what stands in front of which service, and who asks how.

`FIRST` and `SECOND` are those that the estimator's allowances were found with. `JUDGED` were written down
before any of them had been run, and are not for tuning: once a change of the estimator has been made with
them in view, they belong to the others, and new ones have to be written, as it went with the second.
`WITHOUT_TIMES` have logs that cannot tell.
"""

from dataclasses import dataclass

__all__ = ["FIRST", "JUDGED", "SECOND", "WITHOUT_TIMES", "System"]


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

SECOND = [
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
    System(server="sync", workers=6, work="7", service="25..35", arrivals="poisson 70"),
    System(
        server="sync", workers=3, work="1", service="lognormal 30 0.3", arrivals="poisson 30", requests=1200
    ),
    System(server="gthread", workers=3, threads=6, work="7", busy=True, arrivals="poisson 50", requests=1500),
    System(
        server="gthread",
        threads=24,
        work="1",
        busy=True,
        service="lognormal 30 0.35",
        arrivals="poisson 80",
    ),
    System(server="gevent", work="1", busy=True, service="25..35", arrivals="poisson 70", keep_alive=False),
    System(
        server="gevent", workers=2, work="7", service="tail 30 0.1 300", arrivals="poisson 120", log="seconds"
    ),
    System(
        server="gthread",
        workers=2,
        threads=12,
        work="two 7 30 0.5",
        arrivals="users 10",
        keep_alive_behind=False,
    ),
    System(server="sync", workers=12, work="7", arrivals="bursts 40", requests=1200),
    System(server="sync", workers=8, work="7", service="lognormal 30 0.2", arrivals="poisson 80", log="two"),
    System(
        server="gthread", threads=32, work="7", service="25..35", arrivals="poisson 60", log="milliseconds"
    ),
    System(
        server="nginx", workers=2, work="1", service="lognormal 30 0.4", arrivals="bursts 120", log="json"
    ),
    System(
        server="nginx",
        work="30",
        service="25..35",
        arrivals="poisson 100",
        keep_alive=False,
        log="labels",
    ),
    System(server="nginx", work="two 1 30 0.3", arrivals="users 12", posted=64 << 10),
    System(
        server="nginx",
        workers=2,
        work="lognormal 7 0.5",
        service="tail 30 0.02 400",
        arrivals="poisson 110",
        alone=0.2,
        requests=2600,
    ),
    System(
        server="nginx",
        work="7",
        arrivals="poisson 100",
        retried=True,
        keep_alive_behind=False,
        log="json",
    ),
    System(
        server="tetrapylon", work="7", service="lognormal 30 0.4", arrivals="poisson 120", posted=16 << 10
    ),
    System(
        server="tetrapylon",
        workers=2,
        work="two 1 30 0.5",
        service="25..35",
        arrivals="poisson 170",
        requests=6000,
    ),
    System(server="tetrapylon", work="7", busy=True, service="25..35", arrivals="poisson 40", requests=1500),
    System(
        server="tetrapylon",
        workers=2,
        work="30",
        service="tail 30 0.1 300",
        arrivals="bursts 90",
        keep_alive=False,
    ),
    System(
        server="nginx",
        work="7",
        service="lognormal 30 0.25",
        arrivals="poisson 170",
        requests=6000,
        answered=64 << 10,
        log="labels",
    ),
]

JUDGED = [
    System(server="sync", workers=5, work="7", service="lognormal 30 0.25", arrivals="poisson 55"),
    System(server="sync", workers=6, work="30", service="25..35", arrivals="poisson 40", requests=1500),
    System(
        server="gthread",
        workers=2,
        threads=10,
        work="7",
        busy=True,
        service="25..35",
        arrivals="poisson 40",
        requests=1500,
        keep_alive=False,
    ),
    System(
        server="gthread", threads=20, work="1", busy=True, service="tail 30 0.02 300", arrivals="poisson 60"
    ),
    System(
        server="gevent",
        work="1",
        busy=True,
        service="lognormal 30 0.3",
        arrivals="poisson 60",
        keep_alive_behind=False,
    ),
    System(server="gevent", workers=2, work="30", service="25..35", arrivals="bursts 60", log="seconds"),
    System(
        server="gthread", workers=2, threads=16, work="two 1 30 0.3", arrivals="users 12", posted=16 << 10
    ),
    System(server="sync", workers=10, work="1", service="25..35", arrivals="bursts 40", requests=1200),
    System(
        server="gthread",
        workers=2,
        threads=16,
        work="7",
        service="lognormal 30 0.2",
        arrivals="poisson 70",
        log="two",
    ),
    System(server="gthread", threads=32, work="30", arrivals="poisson 70", log="milliseconds"),
    System(server="nginx", work="7", service="25..35", arrivals="bursts 120", log="labels"),
    System(
        server="nginx",
        workers=2,
        work="1",
        service="tail 30 0.02 300",
        arrivals="poisson 100",
        keep_alive=False,
    ),
    System(
        server="nginx",
        work="30",
        service="lognormal 30 0.2",
        arrivals="users 14",
        answered=64 << 10,
        keep_alive_behind=False,
    ),
    System(
        server="nginx",
        work="two 1 7 0.3",
        service="25..35",
        arrivals="poisson 110",
        alone=0.25,
        requests=2800,
        log="json",
    ),
    System(server="nginx", workers=2, work="lognormal 30 0.2", arrivals="poisson 90", retried=True),
    System(
        server="tetrapylon",
        work="1",
        service="25..35",
        arrivals="poisson 110",
        posted=64 << 10,
        keep_alive=False,
    ),
    System(
        server="tetrapylon",
        workers=2,
        work="lognormal 7 0.5",
        service="lognormal 30 0.3",
        arrivals="poisson 170",
        requests=6000,
    ),
    System(server="tetrapylon", work="7", busy=True, arrivals="poisson 30", requests=1200),
    System(server="tetrapylon", work="30", service="tail 30 0.1 300", arrivals="users 14"),
    System(server="nginx", work="7", service="lognormal 30 0.35", arrivals="poisson 170", requests=6000),
]

WITHOUT_TIMES = [
    System(server="nginx", work="7", arrivals="poisson 100", requests=1000, log="combined"),
    System(server="nginx", work="7", arrivals="poisson 100", requests=1000, log="whole"),
    System(server="sync", workers=8, work="7", arrivals="poisson 100", requests=1000, log="whole"),
]
