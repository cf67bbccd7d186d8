# docs.gunicorn.org, "Design": gthread for keep-alive and for handlers that wait, 2-4 threads a core; "FAQ": a
# heartbeat directory in memory. The control socket is a file in the home directory: off.
import os

bind = f"127.0.0.1:{os.environ['PORT']}"
workers = int(os.environ["WORKERS"])
worker_class = "gthread"
threads = 4
worker_connections = 10000
keepalive = 75
worker_tmp_dir = "/dev/shm"
control_socket_disable = True
accesslog = None
loglevel = "warning"
