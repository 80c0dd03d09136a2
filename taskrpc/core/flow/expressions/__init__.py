"""Expressions of flows: text with `{{ … }}` and `{% … %}` in Pebble's syntax and with Pebble's meaning.

`rendering.Rendering` is the way in. `syntax` reads Pebble with its own precedences into Jinja2's syntax tree, in which
every operator, attribute, filter, test and call is an operation of ours (`operations`, `filters`, `texts`,
`collections`, `functions`, `dates`, `jq`): so nothing in a template reaches a method or an attribute of a Python
object, and everything is charged to a `budget`.
"""
