"""Settings of the service, said once: defaults, `TASKRPC_*` in the environment, and what they mean."""

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from taskrpc.core.callback import networks

MIB = 2**20
_SHOWN_TO_FLOWS: Final = "TASKRPC_ENV_"


class Settings(BaseSettings):
    """Each field is a flag of `taskrpc serve` (`max_body`: `--max-body`) and an environment variable
    (`TASKRPC_MAX_BODY`); a flag counts more. `secret_key` is a variable only: others can see the flags of a process."""

    model_config = SettingsConfigDict(env_prefix="TASKRPC_", frozen=True, extra="ignore")

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    workers: int = Field(1, ge=1, le=64, description="Server processes that share the port.")
    database_url: str | None = Field(
        None, description="PostgreSQL to use, postgresql://…; without one an embedded server is started."
    )
    data_dir: Path = Field(Path(".taskrpc"), description="Where the embedded PostgreSQL keeps its data.")
    definitions: Annotated[tuple[Path, ...], NoDecode] = Field(
        (), description="YAML file of definitions or of a flow, or a folder of them; may be given several times."
    )
    strict_definitions: bool = Field(False, description="Refuse tasks whose definition is not known.")
    max_body: int = Field(8 * MIB, ge=1024, le=256 * MIB, description="Largest body in bytes (YAML: at most 1 MiB).")
    log_format: Literal["text", "json"] = Field("text", description="Format of the log on standard error.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="What is logged; debug has a line per request."
    )
    log_retention_days: int = Field(30, ge=1, le=36500, description="Days for which AidboxTaskLog is kept.")
    storage: str | None = Field(
        None, description="Where files are kept: a directory or s3://bucket/prefix; else storage in the data directory."
    )
    max_file: int = Field(5 * 1024 * MIB, ge=1024, description="Largest file in bytes.")
    secret_key: SecretStr | None = Field(
        None, description="Keys for secrets, separated by commas or space; the first encrypts, all decrypt."
    )
    secret_key_file: Path | None = Field(
        None, description="File of keys for secrets; without one secret.key in the data directory, if that is in use."
    )
    notify: bool = Field(True, description="Send hints between servers by NOTIFY; without, they look every second.")
    callback_networks: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Network that callbacks may go to although it is private, as in 10.0.0.0/8; several times."
    )
    insecure: bool = Field(
        False, description="Let everybody call who can reach the server, as long as there are no keys."
    )

    @property
    def is_open_without_keys(self) -> bool:
        """Whether everybody may call as long as there are no keys: who can reach the server is trusted."""
        if self.insecure:
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @field_validator("definitions", mode="before")
    @classmethod
    def _several(cls, value: object) -> object:
        return [part for part in value.split(":") if part] if isinstance(value, str) else value

    @field_validator("callback_networks", mode="before")
    @classmethod
    def _several_networks(cls, value: object) -> object:
        return [part for part in value.split(",") if part] if isinstance(value, str) else value

    @field_validator("callback_networks")
    @classmethod
    def _are_networks(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        networks(texts)
        return texts


def shown_to_flows(environment: Mapping[str, str]) -> dict[str, str]:
    """`envs` of expressions: variables named TASKRPC_ENV_…, by the rest of the name in lower case. No other variable is
    for flows to see, as there may be passwords in it."""
    begin = len(_SHOWN_TO_FLOWS)
    return {
        name[begin:].lower(): value
        for name, value in environment.items()
        if name[:begin] == _SHOWN_TO_FLOWS and name[begin:]
    }
