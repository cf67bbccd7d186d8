"""In how many processes tests run, and options that run them on another foundation."""

import os

import pytest
from hypothesis import HealthCheck, settings

# Whether a test passes is not a matter of how busy the machine is.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.hookimpl(optionalhook=True)  # where pytest-xdist is
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores, for tests often wait; not more, for each process collects them all."""
    return min(len(os.sched_getaffinity(0)) + 1, 9)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tetrapylon")
    group.addoption(
        "--stream",
        choices=("socket", "transport", "asyncio"),
        default="socket",
        help="under client connections of tests/e2e: the gateway's own sockets (default), or transports, "
        "those of uvloop or of asyncio",
    )
    group.addoption(
        "--parser",
        choices=("llhttp", "httptools"),
        help="backend that reads messages in tests/e2e and, where it is not told which, in tests/core",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Both by the environment: the compiled plane is to know, and processes that tests start."""
    os.environ["TETRAPYLON_TEST_STREAM"] = config.getoption("--stream")
    if config.getoption("--parser") is not None:
        os.environ["TETRAPYLON_PARSER"] = config.getoption("--parser")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--stream") == "socket":
        return
    for item in items:
        mark = item.get_closest_marker("sockets")
        if mark is not None:
            item.add_marker(pytest.mark.skip(reason=mark.args[0]))
