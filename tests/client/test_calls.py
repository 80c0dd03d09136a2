"""The clients against the service, through a proxy that loses what it is told to lose."""

import pytest

from taskrpc import Client, TaskRpcError
from taskrpc.client import RetryPolicy
from tests.client.conftest import EitherClient
from tests.client.cutting_proxy import CuttingProxy, Fault, http_answer

DEFINITION = "test/echo"
FAULTS = [Fault.REFUSED, Fault.UNANSWERED, Fault.HALF_ANSWERED]


async def test_a_task_goes_through_its_life_by_the_methods_of_the_client(call: EitherClient) -> None:
    created = (await call("create_and_execute", DEFINITION, {"name": "Ada"}, label="first"))["resource"]
    (polled,) = (await call("poll", [DEFINITION], max_batch_size=5))["resources"]
    assert polled["id"] == created["id"]
    execution = (polled["id"], polled["execId"])
    assert (await call("start", *execution))["resource"]["status"] == "in-progress"
    await call("notify", *execution, notification="awf.task/progress", progress_current=1, progress_total=2)
    await call("feedback", *execution, {"seen": 1})
    ended = (await call("success", *execution, {"greeting": "Hello, Ada"}))["resource"]
    assert (ended["status"], ended["outcome"]) == ("done", "succeeded")
    status = await call("status", created["id"], include_log=True)
    assert status["resource"]["result"] == {"greeting": "Hello, Ada"}
    assert status["resource"]["progress"] == {"current": 1, "total": 2}
    assert status["log"]
    assert (await call("result", created["id"], timeout=0))["resource"]["status"] == "done"


async def test_lists_are_filtered(call: EitherClient) -> None:
    for label in ("apple", "pear"):
        await call("create_and_execute", DEFINITION, {}, label=label)
    await call("create_and_execute", "test/other", {})
    listed = await call("list", include_definitions=[DEFINITION], ilike="pea", sort={"createdAt": "asc"})
    assert [task["label"] for task in listed["resources"]] == ["pear"]
    assert listed["total"] == 1


async def test_a_task_is_canceled_and_tried_again(call: EitherClient) -> None:
    id = (await call("create_and_execute", DEFINITION, {}))["resource"]["id"]
    assert (await call("cancel", id))["resource"]["outcome"] == "canceled"
    assert (await call("retry", id))["resource"]["status"] == "ready"
    await call("stop", id)
    assert (await call("status", id))["phase"] == "stopped"


async def test_definitions_are_put_read_and_deleted(call: EitherClient) -> None:
    await call("definition_put", DEFINITION, {"inProgressTimeout": 5000})
    assert (await call("definition_get", DEFINITION))["resource"]["inProgressTimeout"] == 5000
    assert DEFINITION in [each["id"] for each in (await call("definition_list"))["resources"]]
    await call("definition_delete", DEFINITION)
    with pytest.raises(TaskRpcError, match="definition-not-found"):
        await call("definition_get", DEFINITION)


async def test_flows_are_put_read_and_deleted(call: EitherClient) -> None:
    flow = {"id": "f", "namespace": "n", "tasks": [{"id": "say", "type": "core.log.Log", "message": "x"}]}
    assert (await call("flow_put", flow))["resource"]["revision"] == 1
    assert (await call("flow_put", "id: f\nnamespace: n\ntasks: [{id: a, type: b}]"))["resource"]["revision"] == 2
    assert (await call("flow_get", "n", "f", revision=1))["resource"]["flow"] == flow
    assert (await call("flow_get", "n", "f"))["resource"]["source"].startswith("id: f")
    assert [each["definition"] for each in (await call("flow_list"))["resources"]] == ["n.f"]
    assert (await call("flow_list", namespace="m"))["resources"] == []
    assert (await call("flow_validate", {"id": "f"}))["valid"] is False
    await call("flow_delete", "n", "f")
    with pytest.raises(TaskRpcError, match="definition-not-found"):
        await call("flow_get", "n", "f")


async def test_rules_are_put_run_read_and_deleted(call: EitherClient) -> None:
    request = {"task-request": {"definition": DEFINITION}}
    await call("scheduler_put", "yearly", {"schedule": "@yearly", **request})
    started = (await call("scheduler_run", "yearly"))["resource"]
    assert (await call("scheduler_get", "yearly"))["resource"]["last-fire"]["started"]["id"] == started["id"]
    assert [rule["id"] for rule in (await call("scheduler_list"))["resources"]] == ["yearly"]
    await call("scheduler_delete", "yearly")
    patients = [{"get-in": ["resourceType"], "comparator": "eq", "value": "Patient"}]
    await call("subscription_put", "patients", {"select-by": patients, **request})
    assert (await call("publish", {"resourceType": "Patient"})) == {}
    assert (await call("subscription_get", "patients"))["resource"]["select-by"] == patients
    assert [rule["id"] for rule in (await call("subscription_list"))["resources"]] == ["patients"]
    await call("subscription_delete", "patients")


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_run_whose_answer_was_lost_starts_one_task(
    call: EitherClient, proxy: CuttingProxy, fault: Fault
) -> None:
    rule = {"schedule": "@yearly", "concurrency-policy": "allow", "task-request": {"definition": DEFINITION}}
    await call("scheduler_put", "yearly", rule)
    proxy.faults = [fault]
    started = (await call("scheduler_run", "yearly"))["resource"]
    assert [task["id"] for task in (await call("list"))["resources"]] == [started["id"]]


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_create_whose_answer_was_lost_makes_one_task(
    call: EitherClient, proxy: CuttingProxy, fault: Fault
) -> None:
    proxy.faults = [fault, fault]
    created = (await call("create_and_execute", DEFINITION, {"n": 1}))["resource"]
    assert created["definition"] == DEFINITION
    assert [task["id"] for task in (await call("list"))["resources"]] == [created["id"]]


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_start_whose_answer_was_lost_starts_once_and_succeeds(
    call: EitherClient, proxy: CuttingProxy, fault: Fault
) -> None:
    id = (await call("create_and_execute", DEFINITION, {}))["resource"]["id"]
    (polled,) = (await call("poll", [DEFINITION]))["resources"]
    proxy.faults = [fault]
    started = (await call("start", id, polled["execId"]))["resource"]
    assert (started["status"], started["retryCount"]) == ("in-progress", 1)


async def test_an_appended_feedback_whose_answer_was_lost_is_appended_once(
    call: EitherClient, proxy: CuttingProxy
) -> None:
    id = (await call("create_and_execute", DEFINITION, {}))["resource"]["id"]
    (polled,) = (await call("poll", [DEFINITION]))["resources"]
    await call("start", id, polled["execId"])
    proxy.faults = [Fault.UNANSWERED]
    await call("feedback", id, polled["execId"], "once", append=True)
    assert (await call("status", id))["resource"]["feedback"] == ["once"]


async def test_a_long_poll_whose_connection_broke_is_made_anew(call: EitherClient, proxy: CuttingProxy) -> None:
    proxy.faults = [Fault.REFUSED]
    assert await call("long_poll", [DEFINITION], timeout=10) == {"resources": []}


async def test_a_busy_service_is_asked_again_after_the_pause_it_wants(call: EitherClient, proxy: CuttingProxy) -> None:
    proxy.answers = [http_answer(503, b"{}", "retry-after: 0"), http_answer(504, b"", "retry-after: 0")]
    assert (await call("create_and_execute", DEFINITION, {}))["resource"]["status"] == "ready"
    assert len(proxy.requests) == 3


async def test_a_refusal_is_raised_as_it_was_given_and_not_repeated(call: EitherClient, proxy: CuttingProxy) -> None:
    with pytest.raises(TaskRpcError) as raised:
        await call("status", "no-such-task")
    assert raised.value.type == "task-not-found"
    assert "no-such-task" in raised.value.message
    assert len(proxy.requests) == 1


async def test_a_batch_answers_each_of_its_calls(call: EitherClient) -> None:
    creation = ("awf.task/create-and-execute", {"definition": DEFINITION})
    first, second = await call("batch", [creation, ("awf.task/status", {"id": "no-such-task"})])
    assert first["resource"]["status"] == "ready"
    assert isinstance(second, TaskRpcError)
    assert second.type == "task-not-found"


async def test_an_empty_batch_asks_nothing(call: EitherClient, proxy: CuttingProxy) -> None:
    assert await call("batch", []) == []
    assert proxy.requests == []


async def test_a_batch_whose_answer_was_lost_creates_once(call: EitherClient, proxy: CuttingProxy) -> None:
    proxy.faults = [Fault.UNANSWERED]
    (created,) = await call("batch", [("task/create-and-execute", {"definition": DEFINITION})])
    assert created["resource"]["status"] == "ready"
    assert (await call("list"))["total"] == 1


def test_a_service_that_is_not_there_is_named(unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    with (
        Client(url, retry=RetryPolicy(budget=0.05, first_delay=0.01)) as client,
        pytest.raises(TaskRpcError, match=url) as raised,
    ):
        client.status("some-task")
    assert raised.value.type == "unavailable"


@pytest.mark.parametrize("url", ["", "127.0.0.1:8080", "ftp://example.org", "http://"])
def test_a_url_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="no address of a service"):
        Client(url)


async def test_the_key_and_the_path_are_added(proxy: CuttingProxy) -> None:
    from taskrpc import AsyncClient

    async with AsyncClient(f"{proxy.url}/rpc/", api_key="secret") as client:
        await client.list()
    assert proxy.requests[0].startswith(b"POST /rpc HTTP/1.1")
    assert b"x-api-key: secret" in proxy.requests[0].lower()


async def test_what_flows_keep_by_namespace_is_put_read_listed_and_deleted(call: EitherClient) -> None:
    await call("kv_put", "team", "k", {"n": 1}, ttl=60_000)
    assert (await call("kv_get", "team", "k"))["resource"]["value"] == {"n": 1}
    assert (await call("kv_list", "team", prefix="k"))["total"] == 1
    await call("kv_delete", "team", "k")
    for path, content in (("a.txt", "ä"), ("a.bin", b"\xff")):
        await call("namespace_file_put", "team", path, content)
    assert (await call("namespace_file_get", "team", "a.txt"))["resource"]["content"] == "ä"
    assert (await call("namespace_file_get", "team", "a.bin"))["resource"]["contentBase64"] == "/w=="
    assert (await call("namespace_file_list", "team"))["total"] == 2
    await call("namespace_file_delete", "team", "a.bin")
    tasks = [{"id": "a", "type": "core.log.Log", "message": "x"}]
    await call("template_put", "team", "t", tasks, description="First")
    await call("template_put", "team", "t", tasks)
    assert (await call("template_get", "team", "t", revision=1))["resource"]["description"] == "First"
    assert [each["revision"] for each in (await call("template_list"))["resources"]] == [2]
    await call("template_delete", "team", "t")
    with pytest.raises(TaskRpcError, match="template-not-found"):
        await call("template_get", "team", "t")
    with pytest.raises(TaskRpcError, match="not-configured"):
        await call("secret_put", "team", "s", "open sesame")
    assert (await call("secret_list", "team"))["resources"] == []
    for method in ("secret_get", "secret_delete"):
        with pytest.raises(TaskRpcError, match="secret-not-found"):
            await call(method, "team", "s")
