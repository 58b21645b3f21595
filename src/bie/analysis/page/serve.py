"""Show the page on this machine, up to date while runs end; nothing but the page can be asked for."""

import sys
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bie.analysis.files import Files, look
from bie.errors import BadInput
from bie.store.paths import Tree

HOST = "127.0.0.1"
EVERY = 5.0  # seconds between two looks at the tree; longer where making the page takes long
SHARE = 4  # times what it took to make the tables, or the figures, until they are made again


class Kept:
    """The newest page of a study.

    Figures take a minute where tables take a second, so that they are drawn after these, and less often.

    Parameters
    ----------
    make
        Makes the page from a look at the tree; its second argument is the page's version, its third whether
        figures are drawn, or those of the last time stay.
    figures
        Whether there are any.
    """

    def __init__(self, tree: Tree, make: Callable[[Files, str, bool], str], figures: bool = True) -> None:
        self._tree, self._make, self._figures = tree, make, figures
        self._made_from = dict[bool, object]()  # the tables (False), the figures (True)
        self.page, self.version = b"", ""

    def refresh(self, draw: bool = False) -> None:
        """Make the page, or its figures too, anew if any record, failure or plan has changed."""
        files = look(self._tree)
        found = files.ends, files.plans
        if self._made_from.get(draw) == found:
            return
        version = str(time.time_ns())
        page = self._make(files, version, draw).encode()
        self._made_from |= {False: found, draw: found}
        self.page, self.version = page, version

    def keep(self, stop: threading.Event) -> None:
        """Refresh until told to stop; what cannot be read now may be readable at the next look."""
        pause, due = 0.0, time.monotonic()
        while not stop.wait(pause):
            pause = self._rest_after(draw=False)
            if self._figures and time.monotonic() >= due:
                due = self._rest_after(draw=True) + time.monotonic()

    def _rest_after(self, draw: bool) -> float:
        """Seconds to wait after a refresh."""
        began = time.monotonic()
        try:
            self.refresh(draw)
        except Exception as error:  # a page of a minute ago is better than none
            print(f"the page could not be made anew: {error}", file=sys.stderr, flush=True)
        return max(EVERY, SHARE * (time.monotonic() - began))


def server(kept: Kept, port: int) -> ThreadingHTTPServer:
    """Server of the page ``/`` and of its version ``/version``; everything else is not found.

    Raises
    ------
    BadInput
        If the port cannot be had.
    """

    class Handler(BaseHTTPRequestHandler):
        server_version, sys_version = "bie", ""

        def do_GET(self) -> None:
            found = {"/": (kept.page, "text/html"), "/version": (kept.version.encode(), "text/plain")}
            if not self._asked_here():
                self._answer(HTTPStatus.FORBIDDEN, b"", "text/plain")
            elif self.path in found:
                self._answer(HTTPStatus.OK, *found[self.path])
            else:
                self._answer(HTTPStatus.NOT_FOUND, b"", "text/plain")

        def _asked_here(self) -> bool:
            """Whether by a name of this machine: another site's name may lead here too."""
            return self.headers.get("Host", "").rpartition(":")[0] in (HOST, "localhost")

        def _answer(self, status: HTTPStatus, content: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing of each request."""

    try:
        return ThreadingHTTPServer((HOST, port), Handler)
    except (OSError, OverflowError) as error:  # taken, kept for root, no port at all
        why = getattr(error, "strerror", None) or "must be 0 to 65535"
        raise BadInput(f"--port {port}: {why}. Leave it out for any that is free") from None


def serve(kept: Kept, port: int) -> None:
    """Make the page, say where it is, and serve it until Ctrl-C."""
    kept.refresh()
    stop = threading.Event()
    with server(kept, port) as running:
        watch = threading.Thread(target=kept.keep, args=(stop,), daemon=True)
        watch.start()
        print(f"http://{HOST}:{running.server_port}/      Ctrl-C ends it", flush=True)
        try:
            running.serve_forever()
        except KeyboardInterrupt:
            print()
        finally:
            stop.set()
