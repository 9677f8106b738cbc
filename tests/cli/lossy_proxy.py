"""A proxy in front of a Server that forwards every request, notes it, and loses the answers it is told to lose."""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass
class LossyProxy:
    """``loses`` is asked for each request that the Server has answered; what it answers with yes never arrives."""

    target: str
    loses: Callable[[str, str], bool] = lambda method, path: False
    seen: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""

    def times(self, method: str, path: str) -> int:
        """How often a request came whose path begins like this."""
        return sum(seen[0] == method and seen[1].startswith(path) for seen in self.seen)


def lose_first(count: int, method: str, path: str) -> Callable[[str, str], bool]:
    """Lose the answers to the first requests of a kind."""
    left = [count]

    def loses(its_method: str, its_path: str) -> bool:
        if (its_method, its_path.startswith(path)) != (method, True) or not left[0]:
            return False
        left[0] -= 1
        return True

    return loses


@contextmanager
def lossy_proxy(target: str) -> Iterator[LossyProxy]:
    """Run a proxy in front of ``target`` while the context lasts."""
    proxy = LossyProxy(target)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(proxy))
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(proxy: LossyProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            onward = http.client.HTTPConnection(urlsplit(proxy.target).netloc, timeout=30)
            onward.request(self.command, self.path, body, dict(self.headers.items()))
            answer = onward.getresponse()
            content = answer.read()
            onward.close()
            proxy.seen.append((self.command, self.path))
            self.close_connection = True
            if proxy.loses(self.command, self.path):
                return
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() in ("content-type", "location", "idempotency-replayed"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = forward  # noqa: N815 (the names that http.server looks for)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
