"""What `taskrpc demo --input` takes, and what it says of the rest."""

import gzip
import os
from pathlib import Path

import pytest
import typer

from taskrpc.cli.demo_input import Input

PATIENT = b'{"resourceType": "Patient", "id": "p"}\n'


def refusal(name: str) -> str:
    with pytest.raises(typer.BadParameter) as caught:
        Input.of(name)
    return caught.value.message


@pytest.mark.parametrize("content", [PATIENT, gzip.compress(PATIENT, mtime=0), b"\n \n" + PATIENT, PATIENT.strip()])
def test_a_file_says_itself_what_is_in_it(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "export 1.txt"
    file.write_bytes(content)
    expected = Input(file.as_uri(), "Patient", tmp_path)
    assert Input.of(str(file)) == expected
    assert Input.of(file.as_uri()) == expected


@pytest.mark.parametrize(("name", "resource_type"), [("Group.ndjson", "Group"), ("group.ndjson", "Resource")])
def test_an_empty_file_is_taken(tmp_path: Path, name: str, resource_type: str) -> None:
    (tmp_path / name).write_bytes(b"\n")
    assert Input.of(str(tmp_path / name)).resource_type == resource_type


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"id,name\n", "a resource in JSON is expected in each line, but the first is not"),
        (b"[]\n", "the first line has no resourceType"),
        (b'{"id": "p"}\n', "the first line has no resourceType"),
        (gzip.compress(PATIENT, mtime=0)[:20], "end-of-stream marker"),
        (b"\x1f\x8bno gzip at all", "compression method"),
    ],
)
def test_a_file_without_resources_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "Patient.ndjson"
    file.write_bytes(content)
    assert said in refusal(str(file))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "this is a folder" in refusal(str(tmp_path))
    assert "there is no such file" in refusal(str(tmp_path / "Patient.ndjson"))
    assert "this is no regular file" in refusal(str(tmp_path / "pipe"))
    assert "ftp:// cannot be read" in refusal("ftp://example.org/Patient.ndjson")


def test_a_url_is_named_after_its_resources() -> None:
    url = "https://example.org/data/Patient.ndjson.gz?version=2"
    assert Input.of(url) == Input(url, "Patient")
    for url in ("https://example.org/data/patients.ndjson", "https://example.org", "https://example.org/?Patient"):
        assert "has to be named after its resources, like https://example.org/Patient.ndjson.gz" in refusal(url)
