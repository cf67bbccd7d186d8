"""`tetrapylon init`: writes a first config."""

from __future__ import annotations

import argparse

__all__ = ["STARTER", "configure", "run"]

STARTER = """\
# A gateway in one file. Check it with `tetrapylon check`, serve it with `tetrapylon run`.
# Every key: `tetrapylon schema --format markdown`. Durations: 250ms 2s 5m 1h; sizes: 64KiB 1MiB.
# ${NAME}, ${NAME:-default} and ${file:PATH} are filled in, in strings.

server:
  listen: [127.0.0.1:8080]        # 0.0.0.0:8080 to be reached from other machines
  workers: 1                      # or auto: one per core
  limits: {body: 10MiB}           # larger request bodies are refused with 413

admin:
  listen: 127.0.0.1:9901          # /livez, /readyz and /metrics

log:
  access: {format: json, path: "-"}   # one line a request on standard output; `access: none` switches it off

upstreams:
  app:
    targets:
      - http://127.0.0.1:9000     # more of them share the requests, by weight: {url: "http://...", weight: 2}
    timeouts: {connect: 2s, response: 30s}

policies:                         # on every route
  - {use: request_id}

routes:
  # The most specific route wins, whatever the order here.
  - {path: /ping, respond: {status: 200, body: pong}}

  - path: "/{rest:path}"          # all the rest
    upstream: app

  # - path: /users/{id:int}       # {id} takes one segment; {id:int} and {id:uuid} only such values
  #   methods: [GET, POST]
  #   host: api.example.com       # or *.example.com
  #   upstream: app
  #   rewrite: /v2/users/{id}
  #   limits: {body: 1MiB}
  #   timeouts: {total: 5s}

  # - {path: /old, redirect: {to: /new, status: 308}}
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path",
        metavar="PATH",
        nargs="?",
        default="gateway.yaml",
        help="the file to write; - prints (default: gateway.yaml)",
    )


def run(arguments: argparse.Namespace) -> int:
    from tetrapylon.errors import UsageError

    if arguments.path == "-":
        print(STARTER, end="")
        return 0
    if not arguments.path.endswith((".yaml", ".yml")):
        raise UsageError(f"{arguments.path}: the starter is YAML; expected a name that ends in .yaml")
    try:
        with open(arguments.path, "x", encoding="utf-8") as file:
            file.write(STARTER)
    except FileExistsError:
        raise UsageError(
            f"{arguments.path}: there is such a file already; name another, or remove it"
        ) from None
    except OSError as error:
        raise UsageError(f"{arguments.path}: cannot be written: {error.strerror}") from None
    print(f"wrote {arguments.path}; next: tetrapylon run {arguments.path}")
    return 0
