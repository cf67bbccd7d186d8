"""The parse path under atheris, led by the coverage of `reference`: `make fuzz-parse`.

Takes libFuzzer's options (`-runs=1000000`, `-max_total_time=600`) and directories of a corpus. A find is
written to a file beside `crash-`, whose path as an argument runs it again.
"""

import importlib
import sys
from pathlib import Path
from typing import Any

atheris: Any = importlib.import_module("atheris")

with atheris.instrument_imports(include=["tests.fuzz.reference", "tests.harness.wire"]):
    from tests.fuzz.cases import request_case, response_case
    from tests.fuzz.parsing import check
    from tests.fuzz.reference import read_response

CORPUS = Path("build/fuzz/corpus")
SEEDS = 300


def one_input(data: bytes) -> None:
    check(data)
    if data[:1] and data[0] & 1:  # check() has read requests
        read_response(data[1:], "GET")


def main() -> None:
    if not CORPUS.exists():
        CORPUS.mkdir(parents=True)
        for number in range(SEEDS):
            asked = b"".join(request_case(1, number).parts)
            told = b"".join(one.said for one in response_case(1, number).asked)
            CORPUS.joinpath(f"request-{number}").write_bytes(bytes([number % 64 << 1]) + asked[:4000])
            CORPUS.joinpath(f"response-{number}").write_bytes(bytes([number % 64 << 1 | 1]) + told[:4000])
    given = [*sys.argv, "-max_len=4096"]
    if all(argument.startswith("-") for argument in sys.argv[1:]):
        given.append(str(CORPUS))
    atheris.Setup(given, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
