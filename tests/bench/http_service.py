"""A real HTTP server: http_service.py IDLE. Each request is answered after some 20 ms; IDLE workers wait for work.

Standard output: one line of JSON with its port.
"""

import http.server
import json
import os
import pathlib
import queue
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scenarios"))
import scene  # noqa: E402,F401  (ends with who started it)

work = queue.Queue()


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms for an acknowledgement

    def do_GET(self):
        time.sleep(0.02)
        body = json.dumps({"path": self.path, "sum": sum(range(1000))}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def idle():
    while True:
        work.get()()


threading.stack_size(512 << 10)
for number in range(int(sys.argv[1])):
    threading.Thread(target=idle, name="worker-%d" % number, daemon=True).start()
server = Server(("127.0.0.1", 0), Answer)
os.write(1, json.dumps({"pid": os.getpid(), "port": server.server_address[1]}).encode() + b"\n")
server.serve_forever()
