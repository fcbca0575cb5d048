"""A child that stands for a server: `python api_server.py HOW PORT`. It says its process id, and is never msmc's own code."""

import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

HOW, PORT = sys.argv[1], int(sys.argv[2])


class Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(503 if HOW == "never" or time.monotonic() < READY else 200)
        self.end_headers()

    def log_message(self, *told: object) -> None:
        pass


print("pid", os.getpid(), flush=True)
if HOW == "dies":
    print("out of memory\x1b[31m: 17 GiB are not there", flush=True)
    sys.exit(3)
if HOW == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if HOW == "worker" and os.fork() == 0:  # a worker that outlives whoever is asked to end
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("worker", os.getpid(), flush=True)
    time.sleep(600)
READY = time.monotonic() + 0.5
HTTPServer(("127.0.0.1", PORT), Health).serve_forever()
