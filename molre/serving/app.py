"""The Ray Serve application: an HTTP ingress that receives and decodes, and a model that predicts.

``build`` is the application builder for ``serve deploy``; ``jobs/serve.py`` runs the same. Annotations are evaluated
here, since Ray and FastAPI read them at run time.
"""

import asyncio
import hashlib
import hmac
import logging
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.security import HTTPBearer
from ray import serve
from ray.serve.exceptions import BackPressureError
from ray.serve.handle import DeploymentHandle
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

import molre
from molre.errors import Rejection
from molre.evaluation.prediction import open_bundle
from molre.findings import FINDINGS
from molre.serving import documents
from molre.serving.limits import Limits, RequestError
from molre.serving.model import PROBES, Model, facts_of, findings_reply
from molre.serving.settings import Settings, token_digest
from molre.serving.study import Study, read
from molre.serving.uploads import receive
from molre.volume import Grid

log = logging.getLogger("ray.serve")

_HEADERS = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "10"}}
"""What HTTP wants said beside a status."""

_BEARER = Depends(HTTPBearer(scheme_name="token", auto_error=False, description="where the service asks for one"))
"""Says in OpenAPI that there may be a token; the check is the ingress's own."""

_READY_TIMEOUT_S = 5.0
"""Longest that a readiness probe waits for the model."""

api = FastAPI(
    title="molre",
    version=molre.__version__,
    description="Probabilities of 75 findings in a head CT. Research use only: not a medical device.",
    docs_url=None,  # its page loads scripts from elsewhere
    redoc_url=None,
)


def _error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": message}}, status_code=status, headers=headers)


@api.exception_handler(RequestError)
async def _request_error(request: Request, error: RequestError) -> JSONResponse:
    return _error(error.status, error.code, error.message, _HEADERS.get(error.status))


@api.exception_handler(Rejection)
async def _rejection(request: Request, error: Rejection) -> JSONResponse:
    return _error(422, error.code, error.sentence)


@api.exception_handler(HTTPException)
async def _http_error(request: Request, error: HTTPException) -> JSONResponse:
    codes = {404: "not_found", 405: "method_not_allowed"}
    return _error(error.status_code, codes.get(error.status_code, "http_error"), str(error.detail), dict(error.headers or {}))


@serve.deployment
@serve.ingress(api)
class Ingress:
    """HTTP: receives uploads, decodes them in a bounded number of threads, and asks the model."""

    def __init__(self, model: DeploymentHandle, settings: Settings, token: str | None) -> None:
        bundle = open_bundle(settings.bundle)
        self._grid: Grid = bundle.grid
        self._facts, self._thresholds = facts_of(bundle), bundle.thresholds
        self._model, self._settings, self._token = model, settings, token
        self._limits = Limits(
            body_mib=settings.body_mib, inflated_mib=settings.inflated_mib, members=settings.members
        )
        self._decoders = ThreadPoolExecutor(settings.decoders, thread_name_prefix="decode")
        self._at_work = 0
        self._page = (resources.files("molre.serving") / "page.html").read_text(encoding="utf-8")

    @api.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def page(self) -> HTMLResponse:
        """A page for people."""
        return HTMLResponse(self._page, headers=documents.PAGE_HEADERS)

    @api.get("/healthz", tags=["probes"], responses=documents.PROBE)
    async def healthz(self) -> JSONResponse:
        """Alive: the process answers."""
        return JSONResponse({"status": "alive"})

    @api.get("/readyz", tags=["probes"], responses=documents.PROBE)
    async def readyz(self) -> JSONResponse:
        """Ready: the model is loaded and warm."""
        try:
            await asyncio.wait_for(self._model.ready.remote(), _READY_TIMEOUT_S)
        except (TimeoutError, BackPressureError):
            return _error(503, "not_ready", "the model is not loaded yet, or is too busy to answer")
        return JSONResponse({"status": "ready"})

    @api.get("/v1/findings", tags=["findings"], dependencies=[_BEARER], responses=documents.FINDINGS)
    async def findings(self, request: Request) -> JSONResponse:
        """The findings that the model gives a probability for, and the model itself."""
        self._authorise(request)
        listed = [{"key": finding.key, "name": finding.name, "group": finding.group} for finding in FINDINGS]
        for entry in listed:
            if entry["key"] in self._thresholds:
                entry["threshold"] = self._thresholds[entry["key"]]
        return JSONResponse({"model": self._facts, "findings": listed})

    @api.post(
        "/v1/predict",
        tags=["findings"],
        dependencies=[_BEARER],
        responses=documents.PREDICT,
        openapi_extra=documents.UPLOAD,
    )
    async def predict(self, request: Request) -> JSONResponse:
        """Probabilities of the findings in one study: a zip, DICOM files, or one NIfTI file."""
        self._authorise(request)
        if self._at_work >= self._settings.waiting:
            raise RequestError(503, "busy", "too many studies are waiting: try again in a while")
        self._at_work += 1
        try:
            return JSONResponse(await asyncio.wait_for(self._answer(request), self._settings.timeout_s))
        except (RequestError, Rejection):
            raise
        except TimeoutError:
            raise RequestError(504, "timeout", f"the study took longer than {self._settings.timeout_s:g} s") from None
        except BackPressureError:
            raise RequestError(503, "busy", "too many studies are waiting: try again in a while") from None
        except Exception as error:  # noqa: BLE001 - the boundary: the text of an exception may quote the upload
            log.error("internal error of type %s", type(error).__name__)
            raise RequestError(500, "internal", "the study could not be processed: a fault in the service") from None
        finally:
            self._at_work -= 1

    def _authorise(self, request: Request) -> None:
        """Let the request pass if no token is asked for, or if it carries the right one.

        Raises:
            RequestError: it does not.
        """
        if self._token is None:
            return
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        digest = hashlib.sha256(token.strip().encode()).hexdigest()
        if not hmac.compare_digest(digest, self._token) or kind.lower() != "bearer":
            raise RequestError(401, "unauthorised", "send the service's token: Authorization: Bearer TOKEN")

    async def _answer(self, request: Request) -> dict[str, Any]:
        start = time.perf_counter()
        study = await self._study(request)
        decoded = time.perf_counter()
        probabilities = await self._model.predict.remote(study.volume.hu)
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


def build(args: Settings) -> serve.Application:
    """The application, for ``serve deploy`` (``import_path: molre.serving.app:build``) and ``jobs/serve.py``.

    Raises:
        ConfigError: the token file is absent or too short.
        BundleError: the bundle is absent or damaged.
    """
    token = token_digest(args.token_file)
    open_bundle(args.bundle)
    model = serve.deployment(Model).options(
        name="Model",
        ray_actor_options={"num_cpus": args.model_cpus, "num_gpus": args.model_gpus},
        max_ongoing_requests=args.waiting + PROBES,
    )
    # The ingress sheds load itself, with an answer in JSON; Serve's own bound stays out of the probes' way.
    ingress = Ingress.options(name="Ingress", ray_actor_options={"num_cpus": 0}, max_ongoing_requests=1000)
    return ingress.bind(model.bind(args.bundle, args.threads), args, token)
