"""What a scrape of 10,000 series costs: its own time, and what requests notice of it.

`python -m benchmarks.scrape` fails where a scrape takes longer than 0.3 s, or where the slowest request of a
steady stream took 5 ms longer while scrapes went on without a pause than without any.
"""

import argparse
import http.client
import sys
import threading
import time

from tests.harness import Gateway

ROUTES = 300
LONGEST_SCRAPE = 0.3
LONGEST_STALL = 0.005
PAUSE = 0.002


def scrape(address: str, openmetrics: bool) -> tuple[float, int]:
    """Seconds, and how many series."""
    client = http.client.HTTPConnection(address, timeout=30)
    began = time.perf_counter()
    client.request(
        "GET", "/metrics", headers={"Accept": "application/openmetrics-text"} if openmetrics else {}
    )
    text = client.getresponse().read()
    took = time.perf_counter() - began
    client.close()
    return took, sum(not line.startswith(b"#") for line in text.splitlines())


def stream(gateway: Gateway, seconds: float) -> list[float]:
    """How long each request of a steady stream took, sorted."""
    took = []
    with gateway.client(record=False) as client:
        until = time.perf_counter() + seconds
        while (began := time.perf_counter()) < until:
            client.ask("GET", "/0")
            took.append(time.perf_counter() - began)
            time.sleep(PAUSE)
    return sorted(took)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each of the two streams")
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    config = {
        "server": {"workers": arguments.workers},
        "admin": {"listen": "127.0.0.1:0"},
        "log": {"access": None},
        "routes": [{"path": f"/{number}", "respond": {"body": "x"}} for number in range(ROUTES)],
    }
    with Gateway(config) as gateway:
        assert gateway.admin is not None
        admin = gateway.admin
        with gateway.client() as client:
            for number in range(ROUTES):
                client.ask("GET", f"/{number}")
        alone = stream(gateway, arguments.seconds)
        over = threading.Event()
        scrapes: list[tuple[float, int]] = []

        def run() -> None:
            while not over.is_set():
                scrapes.append(scrape(admin, len(scrapes) % 2 == 0))

        thread = threading.Thread(target=run)
        thread.start()
        beside = stream(gateway, arguments.seconds)
        over.set()
        thread.join()
    times = sorted(took for took, _ in scrapes)
    print(
        f"{min(count for _, count in scrapes)} series or more, {len(times)} scrapes:",
        *map(shown, spread(times)),
    )
    print(f"{len(alone)} requests without:", *map(shown, spread(alone)))
    print(f"{len(beside)} requests beside:", *map(shown, spread(beside)))
    fine = times[-1] <= LONGEST_SCRAPE and beside[-1] - alone[-1] <= LONGEST_STALL
    return 0 if fine else 1


def spread(values: list[float]) -> list[tuple[str, float]]:
    """Of sorted values."""
    last = len(values) - 1
    return [(f"p{100 * share:g}", values[int(share * last)]) for share in (0.5, 0.99, 0.999)] + [
        ("most", values[-1])
    ]


def shown(item: tuple[str, float]) -> str:
    return f"{item[0]} {item[1] * 1000:.2f} ms"


if __name__ == "__main__":
    sys.exit(main())
