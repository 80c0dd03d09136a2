"""`core.http.Request`: one HTTP request, whose answer is the task's output."""

import re
from contextlib import ExitStack
from datetime import timedelta
from typing import IO, Annotated, Any, Final, Literal

import httpx2
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from taskrpc.client.tls import trust
from taskrpc.core.file_uri import PREFIX, path_of
from taskrpc.errors import TaskRpcError
from taskrpc.wire.codecs import JSON

from .addresses import PublicOnly
from .http_bodies import ACCEPTED, is_charset, read_body, text_of
from .job import Job, Properties, Text, TextMap

_CONNECT: Final = timedelta(seconds=10)
_READ: Final = timedelta(minutes=5)
_CREDENTIALS: Final = re.compile(r"//[^/?#]*@")


class _Exact(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Timeout(_Exact):
    """How long to wait for a connection, and for each next piece of the answer; ISO 8601."""

    connectTimeout: timedelta = _CONNECT
    readIdleTimeout: timedelta = _READ


class Auth(_Exact):
    """Credentials: `username` and `password`, or `token`, as `type` says."""

    type: Literal["BASIC", "BEARER"]
    username: Text = ""
    password: Text = ""
    token: Text = ""


def _charset(name: str) -> str:
    if not is_charset(name):
        raise ValueError(f"{name[:80]!r} is no charset that is known")
    return name


class Options(_Exact):
    """How the request is sent, and which answers do not fail.

    `connectTimeout` and `readTimeout` count before those in `timeout`, an `auth` of type BASIC before `basicAuthUser`.
    """

    allowFailed: bool = False
    allowedResponseCodes: list[int] = Field(default_factory=list)
    followRedirects: bool = True
    connectTimeout: timedelta | None = None
    readTimeout: timedelta | None = None
    timeout: Timeout = Timeout()
    auth: Auth | None = None
    basicAuthUser: Text | None = None
    basicAuthPassword: Text | None = None
    defaultCharset: Annotated[Text, AfterValidator(_charset)] = "utf-8"


def _body(value: object) -> object:
    return JSON.encode(value).decode() if isinstance(value, dict | list) else value


class Request(Properties):
    """The properties; `formData` is sent urlencoded, or as multipart if `contentType` says so."""

    uri: Text
    method: Text = "GET"
    body: Annotated[Text | None, BeforeValidator(_body)] = None
    formData: dict[str, Any] | None = None
    params: TextMap = Field(default_factory=dict)
    headers: TextMap = Field(default_factory=dict)
    contentType: Text | None = None
    encryptBody: bool = False
    options: Options = Options()


async def http_request(job: Job, *, public_only: bool = False) -> dict[str, Any]:
    """Sends the request; answers `{uri, code, headers, body}`. A code of 400 or more fails unless it is allowed."""
    properties = job.properties(Request)
    if properties.encryptBody:
        raise TaskRpcError("invalid-params", "encryptBody: this service has no encryption of outputs")
    try:
        with ExitStack() as opened:
            arguments = await _arguments(job, properties, opened)
            async with _client(properties, public_only) as client, client.stream(**arguments) as response:
                body = await read_body(response)
    except httpx2.InvalidURL as error:
        raise TaskRpcError("invalid-params", f"uri: {error}") from None
    except (httpx2.HTTPError, UnicodeError) as error:  # of names that cannot be looked up
        reason = str(error) or type(error).__name__
        raise TaskRpcError("http-request-failed", f"{properties.method} {_shown(properties.uri)}: {reason}") from None
    return _judged(properties, response, body)


def _shown(uri: str) -> str:
    """A URI without the password that may stand in it."""
    return _CREDENTIALS.sub("//", uri)


def _client(properties: Request, public_only: bool) -> httpx2.AsyncClient:
    options = properties.options
    connect = (options.connectTimeout or options.timeout.connectTimeout).total_seconds()
    read = (options.readTimeout or options.timeout.readIdleTimeout).total_seconds()
    transport = PublicOnly(httpx2.AsyncHTTPTransport(verify=trust())) if public_only else None
    return httpx2.AsyncClient(
        transport=transport,
        verify=trust(),
        auth=_auth(options),
        follow_redirects=options.followRedirects,
        timeout=httpx2.Timeout(read, connect=connect),
    )


def _auth(options: Options) -> httpx2.Auth | None:
    if options.auth is not None and options.auth.type == "BASIC":
        return httpx2.BasicAuth(options.auth.username, options.auth.password)
    if options.basicAuthUser is not None:
        return httpx2.BasicAuth(options.basicAuthUser, options.basicAuthPassword or "")
    return None


async def _arguments(job: Job, properties: Request, opened: ExitStack) -> dict[str, Any]:
    headers = {"accept-encoding": ACCEPTED} | {name.lower(): value for name, value in properties.headers.items()}
    auth = properties.options.auth
    if auth is not None and auth.type == "BEARER":
        headers["authorization"] = f"Bearer {auth.token}"
    arguments: dict[str, Any] = {"method": properties.method.upper(), "url": properties.uri}
    if properties.params:
        arguments["params"] = httpx2.URL(properties.uri).params.merge(properties.params)
    if properties.formData is not None:
        arguments |= await _form(job, properties, opened)
    elif properties.body is not None:
        arguments["content"] = properties.body.encode()
        headers.setdefault("content-type", properties.contentType or "application/json")
    return arguments | {"headers": [(name.encode(), value.encode()) for name, value in headers.items()]}


async def _form(job: Job, properties: Request, opened: ExitStack) -> dict[str, Any]:
    fields = properties.formData or {}
    if not (properties.contentType or "").lower().startswith("multipart/"):
        return {"data": {name: _plain(name, value) for name, value in fields.items()}}
    return {"files": [(name, await _part(job, name, value, opened)) for name, value in fields.items()]}


def _plain(name: str, value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float):
        raise TaskRpcError(
            "invalid-params", f"formData.{name}: text is expected; files need contentType multipart/form-data"
        )
    return str(value)


async def _part(job: Job, name: str, value: object, opened: ExitStack) -> tuple[str | None, bytes | IO[bytes]]:
    """A file of the internal storage, under its own name or that which is given; or a field."""
    given: dict[str, Any] = value if isinstance(value, dict) else {"content": value}
    content, filename = given.get("content"), given.get("name")
    if not isinstance(content, str) or not content.startswith(PREFIX):
        return None if filename is None else str(filename), _plain(name, content).encode()
    path = job.workspace.own("part")
    async with job.files() as files:
        await files.download(content, path)
    stored = path_of(content).rpartition("/")[2]
    return str(filename or stored), opened.enter_context(path.open("rb"))


def _judged(properties: Request, response: httpx2.Response, body: bytes) -> dict[str, Any]:
    options, code = properties.options, response.status_code
    allowed = options.allowFailed or code in options.allowedResponseCodes
    text = text_of(body, response, options.defaultCharset)
    if (code >= 400 or (options.allowedResponseCodes and not allowed)) and not allowed:
        message = f"{properties.method.upper()} {_shown(properties.uri)} answered {code}"
        raise TaskRpcError("http-status", message, {"code": code, "body": text[:2000].replace("\0", "\ufffd")})
    if "\0" in text:
        message = f"{_shown(properties.uri)} answered what is no text: download it with a script"
        raise TaskRpcError("response-not-text", message)
    headers: dict[str, list[str]] = {}
    for name, value in response.headers.multi_items():
        headers.setdefault(name, []).append(value)
    return {"uri": _shown(str(response.url)), "code": code, "headers": headers, "body": text}
