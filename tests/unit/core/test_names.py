"""Namespaces, keys and paths: what passes can be put below a directory without leading out of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrpc.core.names import check_key, check_namespace, check_path


@pytest.mark.parametrize("name", ["a", "company.team", "0-x_y", "a" * 255])
def test_a_namespace_is_a_key_too(name: str) -> None:
    assert check_namespace(name) == check_key(name) == name


@pytest.mark.parametrize("name", ["", ".a", "_a", "a b", "a/b", "ä", "a\n", "a" * 256])
def test_a_name_of_another_form_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not"):
        check_namespace(name)
    with pytest.raises(ValueError, match="not"):
        check_key(name)


def test_a_key_may_have_capitals_and_a_namespace_not() -> None:
    assert check_key("DB_PASSWORD") == "DB_PASSWORD"
    with pytest.raises(ValueError, match="a-z"):
        check_namespace("Company")


@pytest.mark.parametrize(
    "path",
    ["", "/", "/etc/passwd", "..", "a/../../b", "./a", "a//b", "a/", "a\\b", "a\nb", "a\x7f", "x" * 256, "é/" * 400],
)
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        check_path(path)


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_a_path_that_passes_stays_below_its_directory(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    try:
        path = check_path(text)
    except ValueError:
        return
    root = tmp_path_factory.getbasetemp().resolve()
    below = (root / path).resolve()
    assert below.is_relative_to(root)
    assert below != root
