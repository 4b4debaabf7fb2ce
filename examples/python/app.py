"""Answers GET /hello on $PORT with a greeting of the names on its command line."""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import words

REPORT = {
    "greeting": "Hello, " + words.join(sys.argv[1:] or ["world"]) + "!",
    "arguments": sys.argv[1:],
    "pid": os.getpid(),
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(REPORT).encode()
        self.send_response(200 if self.path == "/hello" else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("", int(os.environ.get("PORT", "8080"))), Handler).serve_forever()
