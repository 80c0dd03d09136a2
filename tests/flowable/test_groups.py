"""Tasks that group others: one after the other, side by side, in the order of what they need, taken from a template."""

from datetime import datetime

from tests.flowable.conftest import Course, Stage

FRAME = """
id: {id}
namespace: company.kitchen
tasks:
  - id: cook
    type: core.flow.{type}
    tasks:
      - {{id: boil, type: core.debug.Return, format: "{{{{ task.id }}}} by {{{{ taskrun.id }}}}"}}
      - {{id: fry, type: core.debug.Return, format: "{{{{ task.id }}}} since {{{{ taskrun.startDate }}}}"}}
  - {{id: serve, type: core.debug.Return, format: "{{{{ outputs.boil.value }}}}"}}
"""


def began(course: Course, task: str) -> datetime:
    return datetime.fromisoformat(course.run(task)["startDate"])


def ended(course: Course, task: str) -> datetime:
    return datetime.fromisoformat(course.run(task)["endDate"])


async def test_tasks_of_a_group_are_done_one_after_the_other(stage: Stage) -> None:
    course = await stage.run(FRAME.format(id="sequential", type="Sequential"))
    assert course.states == ["cook SUCCESS", "boil SUCCESS", "fry SUCCESS", "serve SUCCESS"]
    boil = course.run("boil")
    assert course.outputs("serve") == {"value": f"boil by {boil['id']}"}
    assert course.outputs("fry")["value"].startswith("fry since 2")
    assert boil["parentTaskRunId"] == course.run("cook")["id"]
    assert "outputs" not in course.run("cook")


async def test_tasks_side_by_side_overlap(stage: Stage) -> None:
    flow = """
id: parallel
namespace: company.kitchen
tasks:
  - id: cook
    type: core.flow.Parallel
    tasks:
      - {id: boil, type: scripts.shell.Commands, commands: [sleep 0.4]}
      - {id: fry, type: scripts.shell.Commands, commands: [sleep 0.4]}
  - {id: serve, type: core.log.Log, message: done}
"""
    course = await stage.run(flow)
    assert course.states == ["cook SUCCESS", "boil SUCCESS", "fry SUCCESS", "serve SUCCESS"]
    assert began(course, "fry") < ended(course, "boil")
    assert began(course, "boil") < ended(course, "fry")
    assert began(course, "serve") >= max(ended(course, "boil"), ended(course, "fry"))
    assert (await stage.run(FRAME.format(id="at-once", type="Parallel"))).states[-1] == "serve SUCCESS"


async def test_a_task_begins_when_what_it_depends_on_is_done(stage: Stage) -> None:
    flow = """
id: dag
namespace: company.kitchen
tasks:
  - id: meal
    type: core.flow.Dag
    tasks:
      - {task: {id: serve, type: core.log.Log, message: serve}, dependsOn: [season, warm]}
      - {task: {id: shop, type: core.log.Log, message: shop}}
      - {task: {id: cook, type: core.log.Log, message: cook}, dependsOn: [shop]}
      - {task: {id: warm, type: core.log.Log, message: warm}, dependsOn: [shop]}
      - {task: {id: season, type: core.log.Log, message: season}, dependsOn: [cook]}
"""
    said = (await stage.run(flow)).messages
    assert sorted(said) == ["cook", "season", "serve", "shop", "warm"]
    for first, then in (("shop", "cook"), ("shop", "warm"), ("cook", "season"), ("season", "serve"), ("warm", "serve")):
        assert said.index(first) < said.index(then)


async def test_a_template_gives_its_tasks_to_a_flow(stage: Stage) -> None:
    tasks = [
        {"id": "wash", "type": "core.log.Log", "message": "wash {{ parent.outputs.args.what }}"},
        {"id": "dry", "type": "core.log.Log", "message": "dry it"},
    ]
    template = {"namespace": "company.kitchen", "id": "dishes", "tasks": tasks}
    await stage.client.call("awf.template/put", template)
    flow = """
id: after-dinner
namespace: company.kitchen
tasks:
  - {id: dishes, type: core.flow.Template, namespace: company.kitchen, templateId: dishes, args: {what: plates}}
  - {id: rest, type: core.log.Log, message: rest}
"""
    course = await stage.run(flow)
    assert course.messages == ["wash plates", "dry it", "rest"]
    await stage.client.call("awf.template/put", {**template, "tasks": tasks[1:]})
    assert (await stage.run(flow)).messages == ["dry it", "rest"]
    await stage.client.call("awf.template/delete", {"namespace": "company.kitchen", "id": "dishes"})
    assert (await stage.run(flow, "FAILED")).states == ["dishes FAILED"]


async def test_a_nested_context_goes_on_beside_what_follows_it(stage: Stage) -> None:
    flow = """
id: delivery
namespace: company.kitchen
variables: {dish: soup}
tasks:
  - id: order
    type: core.flow.StartAsync
    taskStart:
      - {id: change, type: core.execution.SetVariables, variables: {dish: stew}}
      - {id: deliver, type: kitchen/deliver}
      - {id: delivered, type: core.log.Log, message: "delivered {{ vars.dish }}"}
    onStarted:
      - {id: meanwhile, type: core.log.Log, message: "meanwhile {{ vars.dish }}"}
    onFailed:
      - {id: unused, type: core.log.Log, message: unused}
  - {id: next, type: core.log.Log, message: "next {{ vars.dish }}"}
"""
    id = await stage.begin(flow)
    (task,) = (await stage.client.long_poll(["kitchen/deliver"], start=True))["resources"]
    assert (await stage.course(id)).messages == ["meanwhile soup", "next soup"]
    await stage.client.success(task["id"], task["execId"], {})
    course = await stage.ended(id)
    assert course.messages == ["meanwhile soup", "next soup", "delivered stew"]


async def test_a_nested_context_without_tasks_is_not_started(stage: Stage) -> None:
    flow = """
id: nothing
namespace: company.kitchen
tasks:
  - id: order
    type: core.flow.StartAsync
    onStarted: [{id: started, type: core.log.Log, message: started}]
    onFailed: [{id: failed, type: core.log.Log, message: nothing to start}]
"""
    assert (await stage.run(flow)).messages == ["nothing to start"]
