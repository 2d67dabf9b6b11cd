"""Run the application on a Ray that is there or on one of its own, until told to stop."""

from __future__ import annotations

import errno
import logging
import signal
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray import serve
from ray.serve.config import HTTPOptions

from molre.errors import ConfigError
from molre.serving.app import build
from molre.serving.settings import Settings

NAME = "molre"
"""Name of the application in Ray Serve."""


def run(settings: Settings, *, host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM, then take down what this call put up and nothing else.

    Args:
        settings: of the application.
        host: address to listen on.
        port: TCP port to listen on.

    Raises:
        ConfigError: the port is taken, the token file is unusable, or another Serve runs on this Ray.
        BundleError: the bundle is absent or damaged.
    """
    check_free(host, port)
    application = build(settings)
    with _ray() as owned:
        if serve.status().applications:
            raise ConfigError("Ray Serve already runs on this cluster: add the application to it with serve deploy")
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):  # before the start, which takes a while and may be called off
            signal.signal(number, lambda *_: stop.set())
        try:
            serve.start(http_options=HTTPOptions(host=host, port=port))
            serve.run(application, name=NAME, route_prefix="/")
            _answers(f"http://{_reachable(host)}:{port}/readyz")
            print(f"serving on http://{_reachable(host)}:{port}", flush=True)
            stop.wait()
            print("stopping", flush=True)
        finally:
            # A Ray of its own ends with the block and takes Serve with it; on another's, only Serve is ended.
            serve.delete(NAME) if owned else serve.shutdown()


def check_free(host: str, port: int) -> None:
    """Make sure that the port can be listened on.

    Raises:
        ConfigError: it cannot.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            if isinstance(error, socket.gaierror):
                raise ConfigError(
                    f"host {host} is not an address of this machine: choose another with --host"
                ) from None
            if error.errno == errno.EADDRINUSE:
                raise ConfigError(f"port {port} is in use: choose another with --port") from None
            raise ConfigError(f"cannot listen on {host} port {port}: {error.strerror}") from None


@contextmanager
def _ray() -> Iterator[bool]:
    """A Ray to run on: the one this machine belongs to, else one that ends with the block; says whether it does."""
    if ray.is_initialized():
        yield False
        return
    owned = False
    try:
        ray.init(address="auto", logging_level=logging.WARNING, log_to_driver=False)
    except ConnectionError:
        owned = True
        ray.init(logging_level=logging.WARNING, log_to_driver=False, include_dashboard=False)
    try:
        yield owned
    finally:
        ray.shutdown()


def _answers(url: str) -> None:
    """Make sure that the application answers where it was told to.

    Raises:
        ConfigError: it does not, so that another Serve's settings hold on this cluster.
    """
    try:
        with urllib.request.urlopen(url, timeout=30):  # noqa: S310 - a URL made here
            return
    except (urllib.error.URLError, OSError):
        raise ConfigError(
            f"the application does not answer on {url}: this cluster's Ray Serve was started on another address"
        ) from None


def _reachable(host: str) -> str:
    """An address to reach a listener at."""
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
