"""JSON that stays text: documents pass from the database to the answer without being parsed."""


class JsonText:
    """A JSON document as text, known to be valid because it was written by the server's own encoder.

    The JSON codec embeds `text` as it is; the YAML codec parses it first.
    """

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JsonText) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"JsonText({self.text!r})"
