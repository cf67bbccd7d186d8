"""Users with a stopwatch: `python -m benchmarks.assess.client FROM TO GATEWAY SERVICE`.

Asks for each number once through the gateway and once at the service itself, in turn, and prints both times
in microseconds.
"""

import http.client
import sys
import time


def ask(connection: http.client.HTTPConnection, path: str) -> int:
    began = time.perf_counter_ns()
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:
        raise SystemExit(f"{path}: {answer.status}")
    return (time.perf_counter_ns() - began) // 1000


def main(first: int, last: int, gateway: int, service: int) -> None:
    ways = {
        "through": http.client.HTTPConnection("127.0.0.1", gateway, timeout=30),
        "straight": http.client.HTTPConnection("127.0.0.1", service, timeout=30),
    }
    for number in range(first, last):
        # In turn, so that neither is always the second.
        names = sorted(ways, reverse=number % 2 == 0)
        times = {name: ask(ways[name], f"/{name}/{number}") for name in names}
        print(times["through"], times["straight"])


if __name__ == "__main__":
    main(*map(int, sys.argv[1:5]))
