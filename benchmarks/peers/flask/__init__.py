"""Flask and requests on gunicorn, with one worker and with four."""

from dataclasses import replace

from ..base import Peer, Wheels

ONE = Peer(
    name="flask",
    title="Flask gateway, 1 worker",
    folder="flask",
    program="gunicorn",
    configs=("gunicorn.conf.py",),
    command=("{program}", "--config", "{dir}/gunicorn.conf.py", "--chdir", "{home}", "gateway:app"),
    deploy=Wheels(("flask", "gunicorn", "requests")),
)
FOUR = replace(ONE, name="flask-4", title="Flask gateway, 4 workers", workers=4)
