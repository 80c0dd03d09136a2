"""Tasks that decide what is done: by a value, by a condition, by failing, by allowing that."""

import pytest

from tests.flowable.conftest import Stage

SWITCH = """
id: switch
namespace: company.shop
inputs: [{id: paid, type: BOOLEAN}]
tasks:
  - id: decide
    type: core.flow.Switch
    value: "{{ inputs.paid }}"
    cases:
      true: [{id: ship, type: core.log.Log, message: ship it}]
      false: [{id: remind, type: core.log.Log, message: remind them}]
"""
IF = """
id: if
namespace: company.shop
inputs: [{id: amount, type: STRING, required: false}]
tasks:
  - id: ask
    type: core.flow.If
    condition: "{{ inputs.amount }}"
    then: [{id: charge, type: core.log.Log, message: charge}]
    else: [{id: give, type: core.log.Log, message: give}]
"""


@pytest.mark.parametrize(("paid", "said"), [(True, "ship it"), (False, "remind them"), ("TRUE", "ship it")])
async def test_a_switch_does_the_case_of_its_value(stage: Stage, paid: object, said: str) -> None:
    course = await stage.run(SWITCH, paid=paid)
    assert course.messages == [said]
    assert course.outputs("decide") == {"value": "true" if said == "ship it" else "false", "defaults": False}


@pytest.mark.parametrize(
    ("amount", "said"),
    [("0", "give"), ("-0", "give"), ("", "give"), ("false", "give"), ("1", "charge"), ("no", "charge")],
)
async def test_a_condition_holds_unless_it_is_zero_empty_or_false(stage: Stage, amount: str, said: str) -> None:
    assert (await stage.run(IF, amount=amount)).messages == [said]


async def test_an_if_without_an_else_does_nothing_where_its_condition_does_not_hold(stage: Stage) -> None:
    flow = IF.replace("    else: [{id: give, type: core.log.Log, message: give}]\n", "").replace(
        "inputs.amount", "null"
    )
    assert (await stage.run(flow)).states == ["ask SUCCESS"]


FAIL_BY_CASE = """
id: fail-by-case
namespace: company.shop
inputs: [{id: size, type: STRING}]
tasks:
  - id: which
    type: core.flow.Switch
    value: "{{ inputs.size }}"
    cases:
      small: [{id: box, type: core.log.Log, message: box}]
      huge: [{id: refuse, type: core.execution.Fail}]
      default: [{id: case-of-that-name, type: core.log.Log, message: case}]
    defaults: [{id: crate, type: core.log.Log, message: crate}]
"""


@pytest.mark.parametrize(
    ("size", "state", "task"),
    [
        ("small", "SUCCESS", "box"),
        ("huge", "FAILED", "refuse"),
        ("default", "SUCCESS", "case-of-that-name"),
        ("any", "SUCCESS", "crate"),
    ],
)
async def test_a_case_may_fail_the_flow(stage: Stage, size: str, state: str, task: str) -> None:
    course = await stage.run(FAIL_BY_CASE, state, size=size)
    assert course.states == [f"which {state}", f"{task} {state}"]


async def test_a_value_without_a_case_fails_where_there_are_no_defaults(stage: Stage) -> None:
    lines = [line for line in FAIL_BY_CASE.splitlines() if "defaults" not in line]
    assert (await stage.run("\n".join(lines), "FAILED", size="any")).states == ["which FAILED"]


async def test_a_condition_may_fail_the_flow(stage: Stage) -> None:
    flow = """
id: fail-by-condition
namespace: company.shop
inputs: [{id: word, type: STRING}]
tasks:
  - {id: before, type: core.log.Log, message: before}
  - {id: check, type: core.execution.Fail, condition: "{{ inputs.word == 'stop' }}", errorMessage: "{{ inputs.word }}!"}
  - {id: after, type: core.log.Log, message: after}
"""
    assert (await stage.run(flow, word="go")).states == ["before SUCCESS", "check SUCCESS", "after SUCCESS"]
    course = await stage.run(flow, "FAILED", word="stop")
    assert course.states == ["before SUCCESS", "check FAILED"]
    assert course.workflow["error"]["message"] == "stop!"


async def test_a_failure_that_is_allowed_is_a_warning_and_the_flow_goes_on(stage: Stage) -> None:
    flow = """
id: allow
namespace: company.shop
tasks:
  - id: try
    type: core.flow.AllowFailure
    tasks:
      - {id: wrong, type: core.execution.Fail}
      - {id: never, type: core.log.Log, message: never}
  - {id: end, type: core.debug.Return, format: "{{ task.id }}"}
"""
    course = await stage.run(flow, "WARNING")
    assert course.states == ["try WARNING", "wrong FAILED", "end SUCCESS"]
    assert course.workflow["outcome"] == "succeeded"


async def test_a_subflow_gets_inputs_and_gives_outputs(stage: Stage) -> None:
    await stage.put("""
id: price
namespace: company.shop
inputs:
  - {id: amount, type: INT}
  - {id: list, type: FILE}
tasks:
  - {id: times, type: core.debug.Return, format: "{{ inputs.amount * 3 }} for {{ inputs.list }}"}
outputs: [{id: total, type: STRING, value: "{{ outputs.times.value }}"}]
""")
    uri = await stage.store("lists/today.txt", b"bread")
    flow = """
id: order
namespace: company.shop
inputs: [{id: list, type: FILE}]
tasks:
  - id: ask
    type: core.flow.Subflow
    namespace: company.shop
    flowId: price
    inputs: {amount: 12, list: "{{ inputs.list }}"}
  - {id: tell, type: core.log.Log, message: "{{ outputs.ask.outputs.total }}"}
"""
    course = await stage.run(flow, list=uri)
    assert course.messages == [f"36 for {uri}"]
    child = await stage.ended(course.outputs("ask")["executionId"])
    assert child.workflow["result"] == {"total": f"36 for {uri}"}
    refused = await stage.run(flow.replace("amount: 12", "amount: many"), "FAILED", list=uri)
    assert refused.states == ["ask FAILED"]
