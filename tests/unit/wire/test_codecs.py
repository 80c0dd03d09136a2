"""Which format a request is in, and which its answer gets."""

import pytest

from taskrpc.errors import TaskRpcError
from taskrpc.wire.codecs import JSON, YAML, Codec, request_codec, response_codec


@pytest.mark.parametrize(
    ("content_type", "codec"),
    [
        (None, JSON), (b"", JSON), (b" ", JSON),
        (b"application/json", JSON), (b"Application/JSON ; charset=UTF-8", JSON),
        (b'application/json;charset="utf-8"', JSON), (b"application/vnd.api+json", JSON),
        (b"application/json; version=2; charset=utf8", JSON),
        (b"text/yaml", YAML), (b"application/yaml", YAML), (b"application/x-yaml", YAML), (b"text/x-yaml", YAML),
        (b"text/yaml; charset=utf-8", YAML), (b"text/yaml;", YAML),
    ],
)  # fmt: skip
def test_a_request_is_in_the_format_of_its_content_type(content_type: bytes | None, codec: Codec) -> None:
    assert request_codec(content_type) is codec


@pytest.mark.parametrize(
    ("content_type", "message"),
    [
        (b"text/plain", "the content type text/plain is not understood; send one of application/json, text/yaml, "),
        (b"application/x-www-form-urlencoded", "the content type application/x-www-form-urlencoded is not understood"),
        (b"json", "the content type json is not understood"),
        (b"text/vnd.api+json", "the content type text/vnd.api+json is not understood"),
        (b"\xff/" + b"x" * 1000, "the content type ÿ/" + "x" * 78 + "… is not understood"),
        (b"application/json; charset=latin-1", "the charset latin-1 is not understood; send utf-8"),
        (b'text/yaml; charset="UTF-16"', "the charset utf-16 is not understood; send utf-8"),
    ],
)
def test_a_format_that_is_not_understood_is_refused_with_those_that_are(content_type: bytes, message: str) -> None:
    with pytest.raises(TaskRpcError) as caught:
        request_codec(content_type)
    assert caught.value.type == "unsupported-media-type"
    assert message in caught.value.message
    assert caught.value.data == {
        "understood": ["application/json", "text/yaml", "application/yaml", "application/x-yaml", "text/x-yaml"]
    }


TEXT_YAML = "text/yaml; charset=utf-8"


@pytest.mark.parametrize(
    ("accept", "request_format", "content_type"),
    [
        (None, JSON, "application/json"), (None, YAML, TEXT_YAML),
        (b"", JSON, "application/json"), (b"*/*", YAML, TEXT_YAML), (b"*/*", JSON, "application/json"),
        (b"text/html, *; q=.2, */*; q=.2", YAML, TEXT_YAML),
        (b"application/json", YAML, "application/json"), (b"text/yaml", JSON, TEXT_YAML),
        (b"application/yaml", JSON, "application/yaml"), (b"Application/X-YAML", YAML, "application/x-yaml"),
        (b"text/x-yaml", JSON, "text/x-yaml; charset=utf-8"),
        (b"text/*", JSON, TEXT_YAML), (b"application/*", JSON, "application/json"),
        (b"application/*", YAML, "application/yaml"),
        (b"application/json, text/plain, */*", YAML, "application/json"),
        (b"application/json, text/yaml", YAML, TEXT_YAML), (b"application/json, text/yaml", JSON, "application/json"),
        (b"application/json;q=0.5, text/yaml;q=0.8", JSON, TEXT_YAML),
        (b"application/json;q=0.5, */*;q=0.8", JSON, TEXT_YAML),
        (b"application/json;q=0, */*", JSON, TEXT_YAML), (b"*/*, text/yaml;q=0", YAML, "application/yaml"),
        (b"application/json;charset=utf-8;q=1.000, text/yaml;q=.9", YAML, "application/json"),
        (b"text/yaml;q=high, application/json;q=0.9", JSON, TEXT_YAML),
        (b"application/json;q=0.2, application/json;q=0.9, text/yaml;q=0.5", YAML, "application/json"),
        (b"nonsense", YAML, TEXT_YAML), (b",, ;q=1, a/b/c", JSON, "application/json"),
        (b"nonsense, application/json", YAML, "application/json"),
    ],
)  # fmt: skip
def test_an_answer_is_in_the_format_that_is_accepted_best(
    accept: bytes | None, request_format: Codec, content_type: str
) -> None:
    codec = response_codec(accept, request_format)
    assert codec.content_type == content_type
    assert codec.name == ("json" if content_type == "application/json" else "yaml")
    assert codec.decode(codec.encode({"a": [1, "no"]})) == {"a": [1, "no"]}


@pytest.mark.parametrize("accept", [b"text/html", b"*/*;q=0", b"application/json;q=0.0", b"image/*, text/plain"])
def test_an_answer_that_nothing_admits_is_refused(accept: bytes) -> None:
    with pytest.raises(TaskRpcError) as caught:
        response_codec(accept, JSON)
    assert caught.value.type == "not-acceptable"
    assert accept.decode() in caught.value.message
