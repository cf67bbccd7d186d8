"""Flask and requests on gunicorn, with one worker and with four."""

from dataclasses import replace

from ..base import Peer, Wheels

ONE = Peer(
    name="flask",
    title="Flask gateway, 1 worker",
    folder="flask",
    program="gunicorn",
    command=("{program}", "--config", "{home}/gunicorn_conf.py", "--chdir", "{home}", "gateway:app"),
    environment={"PORT": "{port}", "UPSTREAM": "http://127.0.0.1:{upstream}", "WORKERS": "{workers}"},
    deploy=Wheels(("flask", "gunicorn", "requests")),
)
FOUR = replace(ONE, name="flask-4", title="Flask gateway, 4 workers", workers=4)
