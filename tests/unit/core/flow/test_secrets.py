"""Secrets in expressions: of which namespace they are, and parts of those that are JSON objects."""

from typing import Final

import pytest

from tests.flows.simulation import World
from tests.unit.core.flow.flows import value
from tests.unit.core.flow.runs import messages, outputs, ran

WHOLE: Final = '{"user": "ada", "port": 5432, "tls": {"verify": true}, "none": null}'


@pytest.fixture
def world() -> World:
    """One in which two namespaces have secrets."""
    world = World()
    for namespace in ("company.team", "company"):
        world.facts.learn(("secret", namespace, "PASSWORD"), f"of {namespace}")
    world.facts.learn(("secret", "company.team", "DATABASE"), WHOLE)
    world.facts.learn(("secret", "company.team", "LIST"), "[1]")
    return world


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("secret('PASSWORD')", "of company.team"),
        ("secret('PASSWORD', namespace='company')", "of company"),
        ("secret('PASSWORD', 'company')", "of company"),
        ("secret('PASSWORD', namespace='other') ?? 'nothing'", "nothing"),
        ("secret('DATABASE')", WHOLE),
        ("secret('DATABASE', subkey='')", WHOLE),
        ("secret('DATABASE', subkey='user')", "ada"),
        ("secret('DATABASE', 'company.team', 'port')", "5432"),
        ("secret('DATABASE', subkey='tls')", '{"verify":true}'),
        ("secret('DATABASE', subkey='none')", ""),
        ("secret('DATABASE', subkey='colour') ?? 'nothing'", "nothing"),
        ("secret('DATABASE', namespace='company', subkey='user') ?? 'nothing'", "nothing"),
    ],
)
def test_a_secret_is_of_a_namespace_and_may_have_parts(world: World, asked: str, answer: str) -> None:
    assert outputs(ran(value("v", f"{{{{ {asked} }}}}"), world=world), "v") == [answer]


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ("secret('PASSWORD', subkey='user')", "the secret `PASSWORD` is not a JSON object, so it has no `user`"),
        ("secret('LIST', subkey='user')", "the secret `LIST` is not a JSON object, so it has no `user`"),
        ("secret('DATABASE', subkey='colour')", "Unable to find `colour` in secret `DATABASE`"),
        ("secret('DATABASE', part='user')", "secret cannot be used so: got an unexpected keyword argument 'part'"),
    ],
)
def test_what_a_secret_does_not_have_fails_the_task_without_showing_it(world: World, asked: str, problem: str) -> None:
    (message,) = messages(ran(value("v", f"{{{{ {asked} }}}}"), world=world))
    assert problem in message
    assert "of company" not in message
    assert "ada" not in message
