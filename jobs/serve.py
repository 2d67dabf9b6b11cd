"""Serve a bundle over HTTP: python jobs/serve.py --bundle DIR."""

from __future__ import annotations

from dataclasses import dataclass

from molre.errors import ConfigError
from molre.job import run
from molre.location import place
from molre.serving.run import run as serve
from molre.serving.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """Serve a bundle over HTTP until interrupted: POST /v1/predict, GET /v1/findings, and a page at /."""

    bundle: str | None = None
    """Path or URI of the bundle; without it, one trained on the embedded phantom cohort."""
    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for every network of the machine, and then with a token."""
    port: int = 8000
    """TCP port to listen on."""
    token_file: str | None = None
    """File with the token that clients send as Authorization: Bearer TOKEN; without it anyone who reaches the port."""
    body_mib: int = 1024
    """Largest request, MiB."""
    inflated_mib: int = 2048
    """Largest upload after unpacking, MiB."""
    members: int = 4000
    """Most files in an upload."""
    timeout_s: float = 120.0
    """Longest time for one study, seconds."""
    threads: int = 0
    """Torch threads of the model; 0 for all CPUs."""
    gpus: float = 0.0
    """GPUs that the model reserves in Ray."""
    remote_code: bool = False
    """Run code that comes with the backbone's weights, for the backbones that need it."""

    def __post_init__(self) -> None:
        if not 1 <= self.port <= 65535:
            raise ConfigError(f"port is {self.port}: it must be from 1 to 65535")
        for name in ("body_mib", "inflated_mib", "members", "timeout_s"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} is {getattr(self, name)}: it must be above 0")
        if self.threads < 0 or self.gpus < 0:
            raise ConfigError("threads and gpus must be 0 or more")


def main(config: Config) -> None:
    """Serve until told to stop."""
    settings = Settings(
        bundle=place(config.bundle) if config.bundle else _default_bundle(),
        token_file=None if config.token_file is None else place(config.token_file),
        body_mib=config.body_mib,
        inflated_mib=config.inflated_mib,
        members=config.members,
        timeout_s=config.timeout_s,
        threads=config.threads,
        model_gpus=config.gpus,
        remote_code=config.remote_code,
    )
    serve(settings, host=config.host, port=config.port)


def _default_bundle() -> str:
    from molre.embedded import default_bundle  # brings the whole of training, which serving a bundle does not need

    return default_bundle()


if __name__ == "__main__":
    run(main, Config)
