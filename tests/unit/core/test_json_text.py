"""Documents that stay text."""

from taskrpc.core.json_text import JsonText


def test_texts_are_equal_when_they_are_the_same_text() -> None:
    assert JsonText("[1]") == JsonText("[1]")
    assert JsonText("[1]") != JsonText("[1 ]")
    assert JsonText("[1]") != "[1]"
    assert len({JsonText("1"), JsonText("1"), JsonText("2")}) == 2


def test_it_shows_its_text() -> None:
    assert repr(JsonText('{"a":1}')) == "JsonText('{\"a\":1}')"
