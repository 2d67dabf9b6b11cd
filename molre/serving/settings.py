"""Settings of the served application, the same from ``jobs/serve.py`` and from a ``serve deploy`` file."""

import hashlib

from pydantic import BaseModel, ConfigDict, Field

from molre.errors import ConfigError
from molre.location import Location

LEAST_TOKEN = 16
"""Characters below which a token can be guessed."""


class Settings(BaseModel):
    """What ``serve deploy`` takes under ``args``; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bundle: str = Field(description="path or URI of the bundle; every node must be able to read it")
    token_file: str | None = Field(
        default=None, description="file whose content clients send as a Bearer token; none: open"
    )
    body_mib: int = Field(default=1024, ge=1, description="largest request, MiB")
    inflated_mib: int = Field(default=2048, ge=1, description="largest upload after unpacking, MiB")
    members: int = Field(default=4000, ge=1, description="most files in an upload")
    timeout_s: float = Field(
        default=120.0, gt=0, description="longest time for one study, from its first byte, seconds"
    )
    waiting: int = Field(default=16, ge=1, description="studies in work or waiting; one more is answered 503")
    decoders: int = Field(default=2, ge=1, description="studies decoded at once")
    threads: int = Field(default=0, ge=0, description="torch threads of the model; 0 for all CPUs of the machine")
    model_cpus: float = Field(default=1.0, ge=0, description="CPUs that the model replica reserves in Ray")
    model_gpus: float = Field(default=0.0, ge=0, description="GPUs that the model replica reserves in Ray")
    remote_code: bool = Field(default=False, description="run code that comes with the backbone's weights")


def token_digest(token_file: str | None) -> str | None:
    """SHA-256 of the token, so that the token itself reaches neither Ray's state nor its logs.

    Raises:
        ConfigError: the file is absent, or its content is too short.
    """
    if token_file is None:
        return None
    try:
        token = Location.of(token_file).read_bytes().strip()
    except OSError:
        raise ConfigError(f"the token file {token_file} cannot be read") from None
    if len(token) < LEAST_TOKEN:
        raise ConfigError(
            f"the token in {token_file} is shorter than {LEAST_TOKEN} characters: make it with openssl rand -hex 32"
        )
    return hashlib.sha256(token).hexdigest()
