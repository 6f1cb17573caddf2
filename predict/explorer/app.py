"""The explorer's server: bound to this machine, behind a token, with limits on what it is sent."""

import asyncio
import secrets
import socket
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from predict.errors import PredictError
from predict.explorer.session import Session
from predict.explorer.view import View

HOST = "127.0.0.1"
MAX_FILES = 8
MAX_BYTES = 32 << 20  # of one request
MAX_WAITING = 4  # requests that predict or wait
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
POLICY = (
    "default-src 'none'; img-src data:; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class Explorer:
    """The pages of a session.

    Parameters
    ----------
    session : Session
        The encoder and its pictures.
    token : str
        What every address begins with; without it, nothing is answered.
    """

    def __init__(self, session: Session, token: str) -> None:
        self.session, self.token = session, token
        self._view = View(session)
        self._lock = asyncio.Lock()
        self._n_waiting = 0

    def app(self) -> Starlette:
        """Return the application."""
        path = f"/{self.token}/"
        hosts = Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
        routes = [
            Route(path, self.show, methods=["GET"]),
            Route(path, self.add, methods=["POST"]),
        ]
        return Starlette(routes=routes, middleware=[hosts])

    async def show(self, request: Request) -> Response:
        """Answer with the page of a picture, compared with a second one if named."""
        return await run_in_threadpool(self._page, request.query_params)

    async def add(self, request: Request) -> Response:
        """Predict the uploaded pictures, one at a time, and lead to the page of the last one."""
        size = request.headers.get("content-length", "")
        if not size.isdigit() or int(size) > MAX_BYTES:
            return _refuse(413, f"too much: at most {MAX_BYTES >> 20} MB are taken at once")
        if self._n_waiting >= MAX_WAITING:
            return _refuse(429, "busy with other pictures: try again in a moment")
        self._n_waiting += 1
        try:
            async with self._lock, request.form(max_files=MAX_FILES, max_fields=4) as form:
                entries = form.getlist("pictures")
                files = [file for file in entries if isinstance(file, UploadFile) and file.size]
                identifier = ""
                for file in files:
                    name, content = file.filename or "picture", await file.read()
                    identifier = await run_in_threadpool(self.session.add, name, content)
        except PredictError as error:
            return _refuse(422, str(error))
        except HTTPException as error:
            return _refuse(413, f"{error.detail} At most {MAX_FILES} pictures are taken at once")
        finally:
            self._n_waiting -= 1
        if not identifier:
            return _refuse(400, "no picture was chosen")
        query = {"picture": identifier}
        if (second := request.query_params.get("picture", "")) in self.session.pictures:
            query["second"] = second
        return RedirectResponse(f"/{self.token}/?{urlencode(query)}", 303)

    def _page(self, query: Mapping[str, str]) -> Response:
        nonce = secrets.token_urlsafe(16)
        body = self._view.render(
            self.token, nonce, query.get("picture", ""), query.get("second", "")
        )
        policy = {"Content-Security-Policy": POLICY.format(nonce=nonce)}
        return HTMLResponse(body, headers=HEADERS | policy)


def _refuse(status: int, message: str) -> Response:
    text = f"{message}. Go back, and choose other pictures."
    policy = {"Content-Security-Policy": "default-src 'none'"}
    return PlainTextResponse(text, status, headers=HEADERS | policy)


def serve(session: Session, port: int, report: Callable[[str], Any]) -> None:
    """Serve a session until it is interrupted; `report` gets the address.

    Raises
    ------
    PredictError
        If the port is in use.
    """
    token = secrets.token_urlsafe(24)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise PredictError(
                f"--port {port}: cannot be used ({error}); expected a free port from 1024 to "
                "65535, or 0 to choose one"
            ) from error
        listener.listen()
        address = f"http://{HOST}:{listener.getsockname()[1]}/{token}/"
        config = uvicorn.Config(
            Explorer(session, token).app(),
            log_level="warning",
            access_log=False,
            server_header=False,
        )
        report(address)
        uvicorn.Server(config).run([listener])
