"""The Ray Serve application: an ingress that receives and decodes, and a model that predicts.

``build`` is the application builder for ``serve deploy``; ``jobs/serve.py`` runs the same. Ray reads the annotations
here at run time.
"""

from typing import Any

import numpy as np
from fastapi import FastAPI
from ray import serve
from ray.serve.exceptions import BackPressureError
from ray.serve.handle import DeploymentHandle

from molre.evaluation.prediction import open_bundle
from molre.serving.api import make_api
from molre.serving.model import PROBES, Model
from molre.serving.service import Busy, Service
from molre.serving.settings import Settings, token_digest


class Remote:
    """The model behind its Serve handle."""

    def __init__(self, handle: DeploymentHandle) -> None:
        self._handle = handle

    async def predict(self, hu: np.ndarray) -> np.ndarray:
        """Probability of each finding in one volume."""
        try:
            return await self._handle.predict.remote(hu)
        except BackPressureError:
            raise Busy from None

    async def ready(self) -> bool:
        """True once a replica is loaded and warm."""
        try:
            return await self._handle.ready.remote()
        except BackPressureError:
            raise Busy from None


class Ingress:
    """The HTTP interface in a replica; Serve builds the interface after the constructor."""

    def __init__(self, model: DeploymentHandle, settings: Settings, token: str | None) -> None:
        self._service = Service(
            open_bundle(settings.bundle, remote_code=settings.remote_code), Remote(model), settings, token
        )

    def __serve_build_asgi_app__(self) -> FastAPI:
        return make_api(self._service)


def build(args: Settings) -> serve.Application:
    """The application, for ``serve deploy`` (``import_path: molre.serving.app:build``) and ``jobs/serve.py``.

    Raises:
        ConfigError: the token file is absent or too short.
        BundleError: the bundle is absent or damaged.
    """
    token = token_digest(args.token_file)
    open_bundle(args.bundle, remote_code=args.remote_code)
    model: Any = serve.deployment(Model)
    ingress: Any = serve.deployment(serve.ingress()(Ingress))
    behind = model.options(
        name="Model",
        ray_actor_options={"num_cpus": args.model_cpus, "num_gpus": args.model_gpus},
        max_ongoing_requests=args.waiting + PROBES,
    )
    # The service sheds load itself, with an answer in JSON; Serve's own bound stays out of the probes' way.
    front = ingress.options(name="Ingress", ray_actor_options={"num_cpus": 0}, max_ongoing_requests=1000)
    return front.bind(behind.bind(args.bundle, args.threads, args.remote_code), args, token)
