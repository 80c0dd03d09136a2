"""Executions survive being written down: whatever they have come to, they go on as if they had stayed in memory."""

import os

import pytest
from hypothesis import given, settings

from taskrpc.core.flow.advance.events import Ended, Started
from taskrpc.core.flow.advance.facts import Facts, MissingFactError
from taskrpc.core.flow.advance.state import ELSEWHERE, Run, State, begin
from taskrpc.core.flow.advance.step import advance
from taskrpc.core.flow.model import Flow
from taskrpc.core.flow.parse import parse_flow
from taskrpc.core.flow.records import document_text, head_text, read_head, read_run, run_text
from tests.flows.execution import Execution
from tests.unit.core.flow.test_random_flows import flows, run


def written_and_read(state: State) -> State:
    """What a store would have of a state."""
    return State(read_head(head_text(state.head)), [_written_and_read(each) for _, each in sorted(state.runs.items())])


def _written_and_read(run: Run) -> Run:
    outputs = None if run.outputs is None else document_text(run.outputs)
    return read_run(run.n, run.parent, run_text(run), document_text(run.fixed), outputs)


def told_through_texts(execution: Execution) -> State:
    """The events of an execution once more, with a state that is written and read before each of them."""
    state, facts = execution.first, Facts({("environment",): {}})
    for event in execution.told:
        events = [event]
        while True:
            state = written_and_read(state)
            step = advance(execution.flow, state, events, facts, 2)
            state.apply(step.changes)
            events = events[step.taken :]
            if not events and not step.more:
                break
    return state


@settings(max_examples=25, deadline=None, derandomize="CI" in os.environ)
@given(flows())
def test_a_state_is_the_same_when_it_is_read_again(flow: Flow) -> None:
    state = run(flow).state
    again = written_and_read(state)
    assert again.head == state.head
    assert again.runs == state.runs


@settings(max_examples=15, deadline=None, derandomize="CI" in os.environ)
@given(flows())
def test_an_execution_that_is_read_before_each_step_comes_to_the_same(flow: Flow) -> None:
    execution = run(flow, budget=2)
    state = told_through_texts(execution)
    assert state.head == execution.state.head
    assert state.runs == execution.state.runs


def test_what_was_never_given_is_empty() -> None:
    made = Run(1, "t", 0, "tasks", 0, "CREATED", [("CREATED", 1)])
    assert read_run(1, 0, run_text(made), None, None) == made


def test_outputs_that_are_elsewhere_are_asked_for() -> None:
    say = {"id": "say", "type": "core.debug.Return", "format": "{{ outputs.work.made }}"}
    tasks = [{"id": "work", "type": "company/work"}, {"id": "wait", "type": "company/wait"}, say]
    flow = parse_flow({"id": "long", "namespace": "company.team", "tasks": tasks})
    state = begin(flow, "e", 0)
    for event in (Started(0), Ended(0, 1, 1, "SUCCESS", {"made": "x" * 9})):
        state.apply(advance(flow, state, [event]).changes)
    state.run(1).outputs = ELSEWHERE
    facts, end = Facts(), [Ended(0, 2, 1, "SUCCESS")]
    with pytest.raises(MissingFactError) as asked:
        advance(flow, state, end, facts)
    assert asked.value.key == ("outputs", "1")
    facts.learn(asked.value.key, {"made": "tea"})
    state.apply(advance(flow, state, end, facts).changes)
    assert state.run(3).outputs == {"value": "tea"}
