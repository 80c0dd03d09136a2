"""Lines of keys, for messages about files."""

import pytest

from taskrpc.wire.yaml_places import line_of

FILE = b"""\
# definitions
my/first:
  retryDelay: 1
my/second:
  params:
    type: object
  tags: [a, b]
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (["my/first"], 2),
        (["my/second"], 4),
        (["my/second", "params", "type"], 6),
        (["my/second", "params", "missing"], 5),
        (["my/second", "tags", 1], 7),
        (["my/second", "tags", 2], 7),
        (["my/second", "params", "type", "deeper"], 6),
        (["missing"], None),
        ([], None),
    ],
)
def test_the_line_is_that_of_the_last_key_which_is_there(path: list[str | int], line: int | None) -> None:
    assert line_of(FILE, path) == line
