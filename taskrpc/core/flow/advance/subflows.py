"""Subflow and ForEachItem: executions that are started for a task, and what comes back from them."""

import hashlib
import uuid
from collections.abc import Mapping
from typing import Any, Final

from taskrpc.core.flow.advance.context import rendering, run_id
from taskrpc.core.flow.advance.ends import end, fail_leaf, leaf_ended, worse
from taskrpc.core.flow.advance.events import Ended, StartFlow, StartTask
from taskrpc.core.flow.advance.state import Block, Run
from taskrpc.core.flow.advance.work import Work
from taskrpc.core.flow.durations import moment
from taskrpc.core.flow.expressions.errors import ExpressionError
from taskrpc.core.flow.expressions.rendering import Rendering
from taskrpc.core.flow.expressions.values import text_of
from taskrpc.core.flow.inputs import InvalidInputError, resolve_inputs
from taskrpc.core.flow.model import Flow, Task

SPLIT: Final = "core.flow.ForEachItem.split"
MERGE: Final = "core.flow.ForEachItem.merge"


class SubflowError(Exception):
    """A subflow that cannot be started; the text says why."""


def start_subflow(work: Work, run: Run, task: Task) -> None:
    """Starts the flow of a Subflow task, or has the former execution of it restarted."""
    renders = rendering(work, run)
    waits = _flag(renders, task, "wait", True)
    action = _subflow(work, run, task, renders, None, again=_is_again(work, run, task))
    work.enter(run, "RUNNING")
    work.act(run, action)
    run.outputs = {"executionId": action.id, "state": "CREATED"}
    if not waits:
        leaf_ended(work, run, "SUCCESS", run.outputs)


def _is_again(work: Work, run: Run, task: Task) -> bool:
    """Whether a restart restarts the subflows of a former attempt; notes which attempt they are of."""
    wanted = run.state == "RESTARTED" and task.properties.get("restartBehavior", "RETRY_FAILED") == "RETRY_FAILED"
    again = wanted and bool(run.outputs) and run.fixed.get("asked by") == work.head.id
    former = {"asked in": run.fixed.get("asked in", len(run.attempts) - 1)} if again else {}
    run.fixed = {"asked by": work.head.id, **former}
    run.outputs = run.outputs if again else None
    return again


def _flag(renders: Rendering, task: Task, name: str, default: bool) -> bool:
    return renders.condition(text_of(task.properties.get(name, default)))


def _subflow(work: Work, run: Run, task: Task, renders: Rendering, iteration: int | None, *, again: bool) -> StartFlow:
    """The action that starts the task's flow; raises SubflowError."""
    properties = task.properties
    namespace, id = renders.text(properties["namespace"]), renders.text(properties["flowId"])
    revision = renders.text(text_of(properties.get("revision")))
    flow: Flow | None = work.facts.ask("flow", namespace, id, revision)
    if flow is None or flow.disabled:
        raise SubflowError(f"the flow {namespace}.{id} {'is disabled' if flow else 'does not exist'}")
    inputs = _inputs(work, run, flow, renders.document(properties.get("inputs", {})))
    return StartFlow(
        run=run.n,
        attempt=run.asked_in,
        id=child_id(run, iteration),
        namespace=namespace,
        flow=id,
        revision=int(revision) if revision else None,
        inputs=inputs,
        labels=_labels(
            work, flow, renders.document(properties.get("labels", {})), _flag(renders, task, "inheritLabels", False)
        ),
        trigger=_trigger(work, run, iteration),
        wait=_flag(renders, task, "wait", True),
        correlation_id=work.head.labels["system.correlationId"],
        outputs=properties.get("outputs", {}),
        iteration=iteration,
        restart=again,
    )


def _inputs(work: Work, run: Run, flow: Flow, given: Mapping[str, Any]) -> dict[str, Any]:
    for name in sorted(set(given) - {each.id for each in flow.inputs}):
        work.log(run, "WARN", f"the flow {flow.namespace}.{flow.id} has no input {name}")

    def renders(values: Mapping[str, Any]) -> Rendering:
        return Rendering({"inputs": values}, moment(work.now), work.head.id)

    try:
        return resolve_inputs(flow.inputs, given, renders)
    except InvalidInputError as error:
        raise SubflowError(f"the inputs of the flow {flow.namespace}.{flow.id} do not fit: {error}") from None


def child_id(run: Run, iteration: int | None) -> str:
    """The id of a subflow: the same for the same try of the same run, so that none is started twice."""
    name = f"{run.fixed['asked by']}/{run.n}/{run.asked_in}/{iteration}"
    return str(uuid.UUID(bytes=hashlib.sha256(name.encode()).digest()[:16], version=4))


def child_ids(run: Run) -> list[str]:
    """The ids of the subflows that a run may have started; none for one that starts something else."""
    if "asked by" not in run.fixed:
        return []
    if run.role != "items" or run.block is None:
        return [child_id(run, None)]
    return [child_id(run, turn) for turn in range(sum(run.block.counts.values()))]


def _labels(work: Work, flow: Flow, own: Mapping[str, Any], inherit: bool) -> dict[str, str]:
    passed = {
        key: value
        for key, value in work.head.labels.items()
        if key != "system.restarted" and (key.startswith("system.") or (inherit and key not in flow.labels))
    }
    return {**passed, **{key: text_of(value) for key, value in own.items()}}


def _trigger(work: Work, run: Run, iteration: int | None) -> dict[str, Any]:
    head, flow = work.head, work.flow
    found: dict[str, Any] = {
        "executionId": head.id, "namespace": flow.namespace, "flowId": flow.id, "flowRevision": flow.revision,
        "taskRunId": run_id(work, run), "taskId": run.task, "taskRunOutputs": run.outputs,
    }  # fmt: skip
    found |= {} if run.value is None else {"taskRunValue": run.value}
    turn = run.iteration if iteration is None else iteration
    return found if turn is None else {**found, "taskRunIteration": turn}


def subflow_ended(work: Work, run: Run, event: Ended) -> None:
    """A subflow that was waited for has ended."""
    task = work.task(run)
    outputs = {**(run.outputs or {}), "state": event.state}
    if event.message is not None:
        run.outputs = outputs
        fail_leaf(work, run, event.message)
        return
    if event.outputs:
        outputs["outputs"] = dict(event.outputs)
    leaf_ended(work, run, _passed_on(work, run, task, event.state), outputs)


def _passed_on(work: Work, run: Run, task: Task, state: str) -> str:
    """What the end of a subflow means for its task; where that cannot be worked out, the task has failed."""
    if state not in ("FAILED", "KILLED", "WARNING"):
        return "SUCCESS"
    try:
        return state if _flag(rendering(work, run), task, "transmitFailed", True) else "SUCCESS"
    except ExpressionError as error:
        work.log(run, "ERROR", str(error))
        return "FAILED"


# -- ForEachItem --------------------


def start_split(work: Work, run: Run, task: Task) -> None:
    """Has the file of items cut into batches, by whoever has storage; the answer is `{splits, batches: [uri, …]}`."""
    parent = work.run(run.parent)
    renders = rendering(work, parent)
    items = renders.text(task.properties["items"])
    if "://" not in items:
        raise SubflowError(f"items is the URI of a stored file, not {items[:80]!r}")
    params = {"items": items, "batch": renders.document(task.properties.get("batch", {}))}
    work.enter(run, "SUBMITTED")
    work.act(run, StartTask(run.n, len(run.attempts), SPLIT, params))


def start_items(work: Work, run: Run, task: Task) -> None:
    """Starts a subflow for each batch; for none it ends at once, without outputs."""
    split = next(each for each in work.children(run.parent) if each.role == "split")
    batches: list[str] = (split.outputs or {}).get("batches", [])
    parent = work.run(run.parent)
    waits, again = True, _is_again(work, run, task)
    work.enter(run, "RUNNING")
    if not batches:
        end(work, run, "SUCCESS")
        return
    run.block = Block(counts={"CREATED": 0, "RUNNING": len(batches)})
    for turn, batch in enumerate(batches):
        extra = {"taskrun": {"id": run_id(work, run), "items": batch, "iteration": turn, "value": parent.value}}
        action = _subflow(work, run, task, rendering(work, parent, extra), turn, again=again)
        waits = action.wait
        work.act(run, action)
    if not waits:
        run.block.counts |= {"RUNNING": 0, "SUCCESS": len(batches)}
        _items_ended(work, run)


def item_ended(work: Work, run: Run, event: Ended) -> None:
    """The subflow of one batch has ended."""
    block = work.block(run)
    state = event.state if event.message is None else "FAILED"
    block.counts["RUNNING"] -= 1
    block.counts[state] = block.counts.get(state, 0) + 1
    block.worst = _worse_item(block.worst, state)
    if block.counts["RUNNING"] == 0:
        _items_ended(work, run)


def _worse_item(one: str, other: str) -> str:
    """Here a failure is worse than a kill."""
    return "FAILED" if "FAILED" in (one, other) else worse(one, other)


def _items_ended(work: Work, run: Run) -> None:
    block = work.block(run)
    number = sum(block.counts.values())
    outputs: dict[str, Any] = {"iterations": {**block.counts}, "numberOfBatches": number}
    parent = work.run(run.parent)
    outputs["subflowOutputsBaseUri"] = f"execution://{work.head.id}/{run.task}/{parent.value or ''}"
    run.outputs = outputs
    end(work, run, _passed_on(work, parent, work.task(parent), block.worst))


def start_merge(work: Work, run: Run, task: Task) -> None:
    """Has the outputs of all subflows, in order, written into one file; the answer is `{subflowOutputs: uri}`."""
    items = next(each for each in work.children(run.parent) if each.role == "items")
    number: int = (items.outputs or {}).get("numberOfBatches", 0)
    if number == 0:
        leaf_ended(work, run, "SUCCESS", None)
        return
    params = {"executions": [child_id(items, turn) for turn in range(number)]}
    work.enter(run, "SUBMITTED")
    work.act(run, StartTask(run.n, len(run.attempts), MERGE, params))


_STAGES: Final = ("split", "items", "merge")


def next_stage(work: Work, run: Run) -> str | None:
    """Starts the next stage of a ForEachItem, or says what state it has come to; None while a stage is open."""
    stages = {child.role: child for child in work.children(run.n) if child.role in _STAGES}
    last = next((stages[name] for name in reversed(_STAGES) if name in stages), None)
    if last is not None and not last.ended:
        return None
    if last is None or (last.state in ("SUCCESS", "WARNING") and last.role != "merge"):
        name = _STAGES[len(stages)]
        task = work.task(run)
        work.create(Task(f"{task.id}_{name}", task.type, name, task.properties), run, name, len(stages))
        return None
    return _worst(stages)


def _worst(stages: Mapping[str, Run]) -> str:
    worst = "SUCCESS"
    for stage in stages.values():
        worst = _worse_item(worst, stage.state)
    return worst
