"""What a database's tables are, in words that stay the same: the migrations' result as one text.

`python -m tests.store.catalog` writes it to tests/store/schema.txt, after a migration was added.
"""

import asyncio
from pathlib import Path
from typing import Final

import asyncpg

from tests.databases import connected, in_database, server, template

SCHEMA: Final = Path(__file__).with_name("schema.txt")

_RELATIONS: Final = """
select c.oid, c.relname as name, pg_get_partkeydef(c.oid) as partitioned, pg_get_expr(c.relpartbound, c.oid) as bound,
    array_to_string(c.reloptions, ', ') as options
from pg_class c where c.relnamespace = 'taskrpc'::regnamespace and c.relkind in ('r', 'p') order by c.relname
"""
_COLUMNS: Final = """
select a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
    || case when l.collname <> 'default' then ' collate ' || l.collname else '' end
    || case when a.attnotnull then ' not null' else '' end
    || case a.attidentity when 'a' then ' identity always' when 'd' then ' identity' else '' end
    || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '') as line
from pg_attribute a left join pg_collation l on l.oid = a.attcollation
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped order by a.attnum
"""
_CONSTRAINTS: Final = """
select 'constraint ' || conname || ' ' || pg_get_constraintdef(oid) as line
from pg_constraint where conrelid = $1 and contype <> 'n' order by conname
"""
_INDEXES: Final = """
select pg_get_indexdef(indexrelid) as line from pg_index where indrelid = $1
order by indexrelid::regclass::text collate "C"
"""
_TRIGGERS: Final = """
select pg_get_triggerdef(oid) as line from pg_trigger where tgrelid = $1 and not tgisinternal order by tgname
"""
_VIEWS: Final = """
select format('view %s(%s)', c.relname, string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', '
    order by a.attnum)) as line
from pg_class c join pg_attribute a on a.attrelid = c.oid
where c.relnamespace = 'taskrpc'::regnamespace and c.relkind = 'v' and a.attnum > 0
group by c.relname order by c.relname
"""
_FUNCTIONS: Final = """
select format('function %s(%s) returns %s, %s, %s', proname, pg_get_function_arguments(oid),
    pg_get_function_result(oid), case provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end,
    case when proisstrict then 'strict' else 'called on null' end) as line
from pg_proc where pronamespace = 'taskrpc'::regnamespace
order by proname, pg_get_function_arguments(oid) collate "C"
"""


async def described(connection: asyncpg.Connection) -> str:
    """Tables with columns, constraints, indexes and triggers, and the views and functions of the schema taskrpc."""
    blocks = []
    for relation in await connection.fetch(_RELATIONS):
        head = f"table {relation['name']}"
        for word in ("partitioned", "bound", "options"):
            head += f" [{relation[word]}]" if relation[word] else ""
        lines = [head]
        for query in (_COLUMNS, _CONSTRAINTS, _INDEXES, _TRIGGERS):
            lines += [f"    {row['line']}" for row in await connection.fetch(query, relation["oid"])]
        blocks.append("\n".join(lines))
    for query in (_VIEWS, _FUNCTIONS):
        blocks.append("\n".join(row["line"] for row in await connection.fetch(query)))
    return "\n\n".join(blocks) + "\n"


async def _renew() -> None:
    async with server() as url, template(url) as name, connected(in_database(url, name)) as connection:
        SCHEMA.write_text(await described(connection))


if __name__ == "__main__":
    asyncio.run(_renew())
