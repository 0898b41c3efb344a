"""Receives webhooks of edge-app, checks their signature, acts once on each: webhook_receiver.py KEY_FILE PORT."""

import base64
import hashlib
import hmac
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

key, seen = Path(sys.argv[1]).read_bytes().strip(), set()


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 to a message that is signed with the key, 401 to any other."""

    def do_POST(self) -> None:
        body, number = self.rfile.read(int(self.headers["Content-Length"])), self.headers["webhook-id"]
        signed = f"{number}.{self.headers['webhook-timestamp']}.".encode() + body
        wanted = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        right = hmac.compare_digest(wanted, self.headers.get("webhook-signature", ""))
        if right and number not in seen:
            seen.add(number)  # a message may come twice, with the same id
            print(json.loads(body)["data"]["label"], flush=True)
        self.send_response(204 if right else 401)
        self.end_headers()


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Receiver)
print(f"listening on port {server.server_port}", flush=True)
server.serve_forever()
