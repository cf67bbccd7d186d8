"""What the control process does again and again goes on, whatever becomes of one time."""

import asyncio

import pytest

from tetrapylon.control.process import every


def test_what_has_raised_is_told_and_done_again(capfd: pytest.CaptureFixture[str]) -> None:
    async def run() -> None:
        done = asyncio.Event()
        times = 0

        def tick() -> None:
            nonlocal times
            times += 1
            if times == 1:
                raise ZeroDivisionError("once")
            done.set()

        ticker = asyncio.get_running_loop().create_task(every(0.0, tick))
        async with asyncio.timeout(5):
            await done.wait()
        ticker.cancel()

    asyncio.run(run())
    assert "tick raised: ZeroDivisionError: once" in capfd.readouterr().err
