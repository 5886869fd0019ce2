"""ministack: an AWS whose KMS really signs. One for each test process, or one of a test's own."""

from __future__ import annotations

import functools
import os
import urllib.error
import urllib.request

from servers import Server, free_port, program

REGION = "eu-central-1"
os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_EC2_METADATA_DISABLED="true")


class Ministack(Server):
    """Binds to loopback only: the mTLS port of its IoT service would be open to the world, so that is off."""

    def __init__(self, port: int | None = None) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        bound = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(self.port)}
        quiet = {"IOT_MTLS_ENABLED": "0", "LOG_LEVEL": "WARNING"}
        super().__init__(program("ministack"), bound | quiet, self._answers)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.url + "/_ministack/health", timeout=1):
                return True
        except urllib.error.HTTPError as error:
            error.close()
            return True
        except OSError:
            return False


def backend_uri(url: str) -> str:
    return f"awskms:?region={REGION}&endpoint={url}&pending-days=7&timeout=5"


@functools.cache
def shared() -> Ministack:
    return Ministack()
