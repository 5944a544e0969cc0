"""A web handler for Starlette: POST a photograph, and get it four times as large, as PNG.

    pip install starlette uvicorn
    uvicorn --factory web_handler:create_app

One network serves all requests, one at a time, because PyTorch uses all processors for each. A
request waits for its turn if there is a place, and is refused otherwise. What waits lies on the
disk, so memory does not grow with the queue. Errors are {"error": "one line"}.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from enhance_cli import Upscaler, prepare_process
from enhance_cli.config import DEFAULT_MODEL, UpscaleOptions
from enhance_cli.errors import Cause
from enhance_cli.images.formats import format_named
from enhance_cli.upscale.plan import Job
from enhance_cli.upscale.work import Outcome, enlarge_file


def refuse(status: int, line: str, **headers: str) -> Response:
    """Answer with an error of one line."""
    return JSONResponse({"error": line}, status, headers)


class Enlarger:
    """Enlarges the photographs of all requests by one network."""

    def __init__(self, model: str, *, max_bytes: int, max_pixels: int, places: int) -> None:
        self.engine = Upscaler(model).engine
        self.options = UpscaleOptions(model=model, max_pixels=max_pixels)
        self.max_bytes, self.places, self.inside = max_bytes, places, 0
        self.turn = asyncio.Lock()

    async def answer(self, request: Request) -> Response:
        """Answer a request, or refuse it if no place is free."""
        if self.inside >= self.places:
            return refuse(503, f"{self.places} photographs are waiting", **{"Retry-After": "10"})
        self.inside += 1
        try:
            with TemporaryDirectory() as folder:
                return await self._enlarge(request, Path(folder))
        finally:
            self.inside -= 1

    async def _enlarge(self, request: Request, folder: Path) -> Response:
        source, target = folder / "photo", folder / "result.png"
        try:
            if not await self._receive(request, source):
                return refuse(413, f"the photograph has more than {self.max_bytes} bytes")
        except ClientDisconnect:
            return refuse(400, "the photograph is not complete")
        async with self.turn:
            outcome = await run_in_threadpool(self._run, source, target)
        if outcome.error is not None:
            is_large = outcome.cause is Cause.TOO_MANY_PIXELS
            line = outcome.error.replace(str(source), "the photograph")
            return refuse(413 if is_large else 422, " ".join(line.split()))
        return Response(target.read_bytes(), media_type="image/png")

    async def _receive(self, request: Request, source: Path) -> bool:
        """Write the request's body to a file; return whether it is within the limit."""
        size = 0
        with source.open("wb") as file:
            async for part in request.stream():
                size += len(part)
                if size > self.max_bytes:
                    return False
                file.write(part)
        return True

    def _run(self, source: Path, target: Path) -> Outcome:
        """Enlarge as the command does: EXIF, XMP, profile, 16 bits and transparency are kept."""
        job = Job(source, target, format_named("png"))
        return enlarge_file(job, self.engine, self.options, lambda *_: None)


def create_app(
    model: str = DEFAULT_MODEL,
    *,
    max_bytes: int = 20_000_000,
    max_pixels: int = 4_000_000,
    places: int = 8,
) -> Starlette:
    """Return the application; uvicorn calls this once in its process."""
    prepare_process()
    enlarger = Enlarger(model, max_bytes=max_bytes, max_pixels=max_pixels, places=places)
    return Starlette(routes=[Route("/", enlarger.answer, methods=["POST"])])
