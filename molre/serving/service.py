"""What the HTTP interface does for a request, apart from HTTP's paths and from Ray."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import shutil
import tempfile
import time
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int16
from starlette.requests import ClientDisconnect, Request

from molre.bundle import Bundle
from molre.errors import Rejection
from molre.findings import FINDINGS
from molre.serving.limits import Limits, RequestError
from molre.serving.model import described, facts_of, findings_reply
from molre.serving.settings import Settings
from molre.serving.study import Study, read
from molre.serving.uploads import receive

log = logging.getLogger("ray.serve")

_READY_TIMEOUT_S = 5.0
"""Longest that a readiness probe waits for the model."""


@runtime_checkable
class Predictor(Protocol):
    """Whatever answers for the model."""

    def predict(self, hu: Int16[np.ndarray, "z y x"]) -> Awaitable[Float32[np.ndarray, "findings"]]:
        """Probability of each finding in one volume on the bundle's grid."""
        ...

    def ready(self) -> Awaitable[bool]:
        """True once the model is loaded and warm."""
        ...


class Busy(Exception):
    """The model takes no more work now."""


@dataclass(slots=True)
class _Load:
    at_work: int = 0


class Service:
    """Receives studies, decodes them in a bounded number of threads, and asks the model."""

    def __init__(self, bundle: Bundle, model: Predictor, settings: Settings, token: str | None) -> None:
        """Set up for one bundle.

        Args:
            bundle: gives grid, thresholds and what replies say about the model; its weights are not kept.
            model: answers for the bundle.
            settings: of the application.
            token: SHA-256 of the token that requests must carry; None leaves the service open.
        """
        self._grid, self._facts, self._thresholds = bundle.grid, facts_of(bundle), bundle.thresholds
        self._model, self._settings, self._token = model, settings, token
        self._limits = Limits(body_mib=settings.body_mib, inflated_mib=settings.inflated_mib, members=settings.members)
        self._decoders = ThreadPoolExecutor(settings.decoders, thread_name_prefix="decode")
        self._load = _Load()

    def authorise(self, request: Request) -> None:
        """Let a request pass if no token is asked for, or if it carries the right one.

        Raises:
            RequestError: it does not.
        """
        if self._token is None:
            return
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        digest = hashlib.sha256(token.strip().encode()).hexdigest()
        if not hmac.compare_digest(digest, self._token) or kind.lower() != "bearer":
            raise RequestError(401, "unauthorised", "send the service's token: Authorization: Bearer TOKEN")

    async def ready(self) -> None:
        """Return once the model is loaded and warm.

        Raises:
            RequestError: it is not, or does not answer in time.
        """
        try:
            await asyncio.wait_for(self._model.ready(), _READY_TIMEOUT_S)
        except (TimeoutError, Busy):
            raise RequestError(503, "not_ready", "the model is not loaded yet, or is too busy to answer") from None

    def findings(self) -> dict[str, Any]:
        """The findings that the model gives a probability for, and the model itself."""
        return {"model": self._facts, "findings": [described(finding, self._thresholds) for finding in FINDINGS]}

    async def predict(self, request: Request) -> dict[str, Any]:
        """The reply to one upload.

        Raises:
            RequestError: the upload or the service's load does not allow a reply.
            Rejection: the study cannot become a right volume.
        """
        busy = RequestError(503, "busy", "too many studies are waiting: try again in a while")
        if self._load.at_work >= self._settings.waiting:
            raise busy
        self._load.at_work += 1
        try:
            return await asyncio.wait_for(self._answer(request), self._settings.timeout_s)
        except (RequestError, Rejection):
            raise
        except TimeoutError:
            raise RequestError(504, "timeout", f"the study took longer than {self._settings.timeout_s:g} s") from None
        except Busy:
            raise busy from None
        except Exception as error:  # noqa: BLE001 - the boundary: the text of an exception may quote the upload
            log.error("internal error of type %s", type(error).__name__)
            raise RequestError(500, "internal", "the study could not be processed: a fault in the service") from None
        finally:
            self._load.at_work -= 1

    async def _answer(self, request: Request) -> dict[str, Any]:
        start = time.perf_counter()
        study = await self._study(request)
        decoded = time.perf_counter()
        probabilities = await self._model.predict(study.volume.hu)
        done = time.perf_counter()
        return {
            "model": self._facts,
            "study": study.facts,
            "findings": findings_reply(probabilities, self._thresholds),
            "seconds": round(done - start, 4),
            "stages_s": {"receive_and_decode": round(decoded - start, 4), "predict": round(done - decoded, 4)},
        }

    async def _study(self, request: Request) -> Study:
        """Receive into a private folder, decode there, and leave nothing behind."""
        folder = Path(tempfile.mkdtemp(prefix="molre-upload-"))
        try:
            files = await receive(
                request.headers.get("content-type", ""),
                request.headers.get("content-length"),
                request.stream(),
                folder,
                self._limits,
            )
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, ClientDisconnect):
                raise RequestError(400, "disconnected", "the client left before the upload was complete") from None
            raise
        decoding = self._decoders.submit(read, files, folder, self._grid, self._limits)
        # Removed when the thread ends or was never started: a time-out must not take files that are still read.
        decoding.add_done_callback(lambda _: shutil.rmtree(folder, ignore_errors=True))
        return await asyncio.wrap_future(decoding)
