"""Lines come out the same, however the bytes came in."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from taskrpc_executors.flows.output_lines import LONGEST_LINE, OutputLines, Said

from taskrpc.errors import TaskRpcError


def lines_of(*pieces: bytes) -> list[str]:
    lines = OutputLines()
    return [line for piece in pieces for line in lines.feed(piece)] + lines.end()


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_how_output_is_cut_into_pieces_does_not_matter(output: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(output)) for cut in cuts), len(output)]
    pieces = [output[begin:end] for begin, end in pairwise(places)]
    assert lines_of(*pieces) == lines_of(output)
    assert len(lines_of(output)) == output.count(b"\n") + (not output.endswith(b"\n") and output != b"")


@pytest.mark.parametrize(
    ("output", "lines"),
    [
        (b"", []),
        (b"a", ["a"]),
        (b"a\n", ["a"]),
        (b"\n\n", ["", ""]),
        (b"a\r\nb", ["a", "b"]),
        (b"\xff\x00", ["\ufffd\ufffd"]),
    ],
)
def test_output_is_cut_at_the_ends_of_lines(output: bytes, lines: list[str]) -> None:
    assert lines_of(output) == lines


def test_of_an_endless_line_the_beginning_counts() -> None:
    first, second = lines_of(b"x" * LONGEST_LINE, b"y" * 10, b"\nnext\n")
    assert (first, second) == ("x" * LONGEST_LINE, "next")
    with pytest.raises(TaskRpcError, match="bad-output"):
        lines_of(b"::{" + b"x" * LONGEST_LINE + b"\n")


@pytest.mark.parametrize(
    ("line", "told", "found"),
    [
        ('::{"outputs": {"a": 1}}::', {}, {"a": 1}),
        ('  ::{"outputs": {"a": {"b": [null]}}}::  ', {}, {"a": {"b": [None]}}),
        ('::{"metrics": [{"name": "n"}]}::', {"metrics": [{"name": "n"}]}, {}),
        ("::{}::", {}, {}),
        ('::{"outputs": {"a": 1}}', None, {}),
        ('x ::{"outputs": {"a": 1}}::', None, {}),
        ('::{"outputs": {"a": 1, "a": 2}}::', None, {}),
        ("::{outputs}::", None, {}),
    ],
)
def test_a_line_sets_variables_or_is_for_people(line: str, told: object, found: object) -> None:
    said = Said()
    assert said.line("stdout", line) == told
    assert said.vars == found
    assert said.counts == {"stdout": 1, "stderr": 0}


def test_variables_have_a_size() -> None:
    said = Said()
    large = '::{"outputs": {"a": "' + "x" * 1_000_000 + '"}}::'
    for _ in range(4):
        said.line("stdout", large)
    with pytest.raises(TaskRpcError, match="more than 4194304 bytes"):
        said.line("stdout", large)


def test_the_last_words_are_the_last_lines_of_standard_error() -> None:
    said = Said()
    for number in range(20):
        said.line("stderr", f"e{number}")
        said.line("stdout", "o")
    assert said.last_words.split("\n") == [f"e{number}" for number in range(10, 20)]
