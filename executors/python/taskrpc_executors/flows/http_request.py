"""`core.http.Request`: one HTTP request, whose answer is the task's output."""

import asyncio
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

import httpx2
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from taskrpc.client.tls import trust
from taskrpc.core.file_uri import PREFIX
from taskrpc.errors import TaskRpcError
from taskrpc.wire.codecs import JSON

from .addresses import PublicOnly
from .job import Job, Properties, Text, TextMap

LARGEST_BODY: Final = 19_000_000
_CONNECT: Final = timedelta(seconds=10)
_READ: Final = timedelta(minutes=5)


class _Exact(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Timeout(_Exact):
    connectTimeout: timedelta = _CONNECT
    readIdleTimeout: timedelta = _READ


class Auth(_Exact):
    type: Literal["BASIC", "BEARER"]
    username: Text = ""
    password: Text = ""
    token: Text = ""


class Options(_Exact):
    allowFailed: bool = False
    allowedResponseCodes: list[int] = Field(default_factory=list)
    followRedirects: bool = True
    connectTimeout: timedelta | None = None
    readTimeout: timedelta | None = None
    timeout: Timeout = Timeout()
    auth: Auth | None = None
    basicAuthUser: Text | None = None
    basicAuthPassword: Text | None = None
    defaultCharset: Text = "utf-8"


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


def _failed(type: str, message: str, **data: Any) -> TaskRpcError:
    return TaskRpcError(type, message, data or None)


async def http_request(job: Job, *, public_only: bool = False) -> dict[str, Any]:
    """Sends the request; answers `{uri, code, headers, body}`. A code of 400 or more fails unless it is allowed."""
    properties = job.properties(Request)
    if properties.encryptBody:
        raise _failed("invalid-params", "encryptBody: this service has no encryption of outputs")
    try:
        arguments = await _arguments(job, properties)
        async with _client(properties, public_only) as client, client.stream(**arguments) as response:
            body = await _read(response)
    except httpx2.InvalidURL as error:
        raise _failed("invalid-params", f"uri: {error}") from None
    except httpx2.HTTPError as error:
        reason = str(error) or type(error).__name__
        raise _failed("http-request-failed", f"{properties.method} {properties.uri}: {reason}") from None
    return _judged(properties, response, body)


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
        default_encoding=options.defaultCharset,
    )


def _auth(options: Options) -> httpx2.Auth | None:
    if options.auth is not None and options.auth.type == "BASIC":
        return httpx2.BasicAuth(options.auth.username, options.auth.password)
    if options.basicAuthUser is not None:
        return httpx2.BasicAuth(options.basicAuthUser, options.basicAuthPassword or "")
    return None


async def _arguments(job: Job, properties: Request) -> dict[str, Any]:
    headers = dict(properties.headers)
    auth = properties.options.auth
    if auth is not None and auth.type == "BEARER":
        headers["authorization"] = f"Bearer {auth.token}"
    arguments: dict[str, Any] = {"method": properties.method.upper(), "url": properties.uri, "headers": headers}
    if properties.params:
        arguments["params"] = httpx2.URL(properties.uri).params.merge(properties.params)
    if properties.formData is not None:
        return arguments | await _form(job, properties)
    if properties.body is not None:
        arguments["content"] = properties.body.encode()
        if "content-type" not in {name.lower() for name in headers}:
            headers["content-type"] = properties.contentType or "application/json"
    return arguments


async def _form(job: Job, properties: Request) -> dict[str, Any]:
    fields = properties.formData or {}
    if not (properties.contentType or "").lower().startswith("multipart/"):
        return {"data": {name: _plain(name, value) for name, value in fields.items()}}
    return {"files": [(name, await _part(job, name, value)) for name, value in fields.items()]}


def _plain(name: str, value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float):
        raise _failed(
            "invalid-params", f"formData.{name}: text is expected; files need contentType multipart/form-data"
        )
    return str(value)


async def _part(job: Job, name: str, value: object) -> tuple[str | None, bytes]:
    """A file of the internal storage, under its own name or that which is given; or a field."""
    given: dict[str, Any] = value if isinstance(value, dict) else {"content": value}
    content, filename = given.get("content"), given.get("name")
    if not isinstance(content, str) or not content.startswith(PREFIX):
        return None if filename is None else str(filename), _plain(name, content).encode()
    path = job.workspace.own(content.rpartition("/")[2])
    async with job.files() as files:
        await files.download(content, path)
    return str(filename or path.name), await asyncio.to_thread(path.read_bytes)


async def _read(response: httpx2.Response) -> bytes:
    content = bytearray()
    async for piece in response.aiter_bytes():
        content += piece
        if len(content) > LARGEST_BODY:
            raise _failed("response-too-large", f"{response.url} answered more than {LARGEST_BODY} bytes")
    return bytes(content)


def _judged(properties: Request, response: httpx2.Response, body: bytes) -> dict[str, Any]:
    options, code = properties.options, response.status_code
    allowed = options.allowFailed or code in options.allowedResponseCodes
    text = body.decode(response.charset_encoding or options.defaultCharset, "replace")
    if (code >= 400 or (options.allowedResponseCodes and not allowed)) and not allowed:
        message = f"{properties.method.upper()} {properties.uri} answered {code}"
        raise _failed("http-status", message, code=code, body=text[:2000].replace("\0", "\ufffd"))
    if "\0" in text:
        raise _failed("response-not-text", f"{properties.uri} answered what is no text: download it with a script")
    headers: dict[str, list[str]] = {}
    for name, value in response.headers.multi_items():
        headers.setdefault(name, []).append(value)
    return {"uri": str(response.url), "code": code, "headers": headers, "body": text}
