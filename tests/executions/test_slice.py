"""A flow on a real service: a line of the log, and a task for an executor."""

from tests.services import Rpc

FLOW = """
id: hello
namespace: company.team
inputs: [{id: name, type: STRING}]
tasks:
  - {id: say, type: core.log.Log, message: "hello {{ inputs.name }}"}
  - {id: work, type: company/work, of: "{{ inputs.name }}"}
  - {id: again, type: core.debug.Return, format: "{{ outputs.work.made }}"}
outputs: [{id: made, type: STRING, value: "{{ outputs.again.value }}"}]
"""


async def test_a_flow_runs(rpc: Rpc) -> None:
    put = await rpc.call("awf.flow/put", source=FLOW)
    assert put.result
    begun = await rpc.call("awf.workflow/create-and-execute", definition="company.team.hello", params={"name": "you"})
    workflow = begun.result["resource"]
    polled = await rpc.call("awf.task/long-poll", taskDefinitions=["company/work"], start=True, timeout=5000)
    (task,) = polled.result["resources"]
    assert task["params"]["of"] == "you"
    done = await rpc.call("awf.task/success", id=task["id"], execId=task["execId"], result={"made": "tea"})
    assert done.result["resource"]["outcome"] == "succeeded"
    ended = (await rpc.call("awf.workflow/result", id=workflow["id"], timeout=5000)).result["resource"]
    assert (ended["status"], ended["outcome"], ended["state"]) == ("done", "succeeded", "SUCCESS"), ended
    assert ended["result"] == {"made": "tea"}
