"""The HTTP interface: paths, errors as JSON, and OpenAPI. FastAPI reads the annotations here at run time."""

from importlib import resources
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

import molre
from molre.errors import Rejection
from molre.serving import documents
from molre.serving.limits import RequestError
from molre.serving.service import Service

_HEADERS = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "10"}}
"""What HTTP wants said beside a status."""

_CODES = {404: "not_found", 405: "method_not_allowed"}

_BEARER = Depends(HTTPBearer(scheme_name="token", auto_error=False, description="where the service asks for one"))
"""Says in OpenAPI that there may be a token; the check is the service's own."""


def make_api(service: Service) -> FastAPI:
    """The interface of a service."""
    api = FastAPI(
        title="molre",
        version=molre.__version__,
        description="Probabilities of 75 findings in a head CT. Research use only: not a medical device.",
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
    )
    _add_errors(api)
    _add_probes(api, service)
    _add_findings(api, service)
    return api


def _error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": message}}, status_code=status, headers=headers)


def _add_errors(api: FastAPI) -> None:
    @api.exception_handler(RequestError)
    async def request_error(request: Request, error: RequestError) -> JSONResponse:
        return _error(error.status, error.code, error.message, _HEADERS.get(error.status))

    @api.exception_handler(Rejection)
    async def rejection(request: Request, error: Rejection) -> JSONResponse:
        return _error(422, error.code, error.sentence)

    @api.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> JSONResponse:
        code = _CODES.get(error.status_code, "http_error")
        return _error(error.status_code, code, str(error.detail), dict(error.headers or {}))


def _add_probes(api: FastAPI, service: Service) -> None:
    page = (resources.files("molre.serving") / "page.html").read_text(encoding="utf-8")

    @api.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def people() -> HTMLResponse:
        """A page for people."""
        return HTMLResponse(page, headers=documents.PAGE_HEADERS)

    @api.get("/healthz", tags=["probes"], responses=documents.PROBE)
    async def healthz() -> dict[str, Any]:
        """Alive: the process answers."""
        return {"status": "alive"}

    @api.get("/readyz", tags=["probes"], responses=documents.PROBE)
    async def readyz() -> dict[str, Any]:
        """Ready: the model is loaded and warm."""
        await service.ready()
        return {"status": "ready"}


def _add_findings(api: FastAPI, service: Service) -> None:
    @api.get("/v1/findings", tags=["findings"], dependencies=[_BEARER], responses=documents.FINDINGS)
    async def findings(request: Request) -> dict[str, Any]:
        """The findings that the model gives a probability for, and the model itself."""
        service.authorise(request)
        return service.findings()

    @api.post(
        "/v1/predict",
        tags=["findings"],
        dependencies=[_BEARER],
        responses=documents.PREDICT,
        openapi_extra=documents.UPLOAD,
    )
    async def predict(request: Request) -> dict[str, Any]:
        """Probabilities of the findings in one study: a zip, DICOM files, or one NIfTI file."""
        service.authorise(request)
        return await service.predict(request)
