"""Where things stand in a YAML file, for messages to the people who wrote it."""

from collections.abc import Sequence

import yaml


def line_of(content: bytes, path: Sequence[str]) -> int | None:
    """The line, from 1, of the last key on a path of keys that the document has; None if it has not even the first.

    For content that `yaml_reader.decode` has accepted: PyYAML's composer crashes on hostile nesting.
    """
    node, line = yaml.compose(content, Loader=yaml.CSafeLoader), None
    for step in path:
        entries = node.value if isinstance(node, yaml.MappingNode) else []
        found = next((entry for entry in entries if entry[0].value == step), None)
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return line
