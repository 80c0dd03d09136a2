"""Where things stand in a YAML file, for messages to the people who wrote it."""

from collections.abc import Iterable, Sequence

import yaml


def line_of(content: bytes, path: Sequence[str | int]) -> int | None:
    """The line, from 1, of the last key or element on a path that the document has; None if it has not even the first.

    For content that `yaml_reader.decode` has accepted: PyYAML's composer crashes on hostile nesting.
    """
    return lines_of(content, [path])[0]


def lines_of(content: bytes, paths: Iterable[Sequence[str | int]]) -> list[int | None]:
    """The lines of several paths: the content is read once."""
    document = yaml.compose(content, Loader=yaml.CSafeLoader)
    return [_line(document, path) for path in paths]


def _line(node: yaml.Node | None, path: Sequence[str | int]) -> int | None:
    line = None
    for step in path:
        entries = _entries(node)
        found = next((entry for key, *entry in entries if key == str(step)), None)
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return line


def _entries(node: yaml.Node | None) -> list[tuple[str, yaml.Node, yaml.Node]]:
    """Key, where it stands, value; the elements of a list have their numbers for keys."""
    match node:
        case yaml.MappingNode():
            return [(key.value, key, value) for key, value in node.value]
        case yaml.SequenceNode():
            return [(str(index), value, value) for index, value in enumerate(node.value)]
    return []
