"""The key server, publishing one signed statement instead, well or badly."""

import hashlib

from jwks_server import JwksServer


class StatementServer(JwksServer):
    def __init__(self):
        super().__init__()
        self.body = b""

    def _ok(self, handler):
        etag = f'"{hashlib.sha256(self.body).hexdigest()[:32]}"'
        if handler.headers.get("If-None-Match") == etag:
            self._send(handler, 304, b"", ETag=etag)
        else:
            self._send(handler, 200, self.body, ETag=etag)
