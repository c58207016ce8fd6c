"""Functions that ask while they run, over the stateless protocol and over the older one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.testing import FakeGateway
from tests.mcp_bridge.conftest import described
from tests.mcp_bridge.wire import LEGACY, META, MODERN, Door
from tests.patience import PATIENCE_SECONDS

PATH = "/ws-lab/mcp/lab/mcp"
CAN_ASK: dict[str, Any] = {
    f"{META}clientCapabilities": {"elicitation": {}, "sampling": {}, "roots": {}}
}
NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
TAKES_INTERACTION = {"type": "object", "properties": {"interaction": {}}}


class Lab:
    """A service whose function asks twice; what it did is seen."""

    def __init__(self) -> None:
        self.begun = 0
        self.ended = asyncio.Event()
        self.gateway = FakeGateway()
        self.gateway.add_service("ws-lab/worker:lab", {"greet": self.greet()}, visibility="public")
        self.gateway.add_token("good", "alice", {"ws-lab": "rw"})
        self.door = Door(self.gateway)

    def greet(self) -> Any:
        async def greet(interaction: Any = None) -> str:
            """Greet somebody."""
            self.begun += 1
            try:
                first = await interaction["ask"]("Your name?", NAME, "name")
                loud = await interaction["ask"]("Loud?", {"type": "boolean"}, "loud")
            finally:
                self.ended.set()
            return f"Hello {first['name']}{'!' if loud else '.'}"

        return described(greet, TAKES_INTERACTION)

    async def call(self, version: str = MODERN, meta: Any = CAN_ASK, **params: Any) -> Any:
        params = {"name": "greet", "arguments": {}, **params}
        if meta is not None:
            params["_meta"] = meta
        headers = {"authorization": params.pop("token", None)}
        return await self.door.request(version, "tools/call", params, path=PATH, headers=headers)


def accepted(**content: Any) -> dict[str, Any]:
    return {"action": "accept", "content": content}


@pytest.fixture
async def lab() -> Lab:
    return Lab()


async def test_a_function_asks_twice_and_runs_once(lab: Lab) -> None:
    first = (await lab.call()).result
    assert first["resultType"] == "input_required"
    assert first["inputRequests"] == {
        "name": {
            "method": "elicitation/create",
            "params": {"message": "Your name?", "requestedSchema": NAME},
        }
    }
    answers = {"name": accepted(name="Ada"), "unknown": accepted()}
    second = (await lab.call(requestState=first["requestState"], inputResponses=answers)).result
    assert list(second["inputRequests"]) == ["loud"]
    assert second["requestState"] != first["requestState"]
    answers = {"loud": accepted(answer=True)}
    last = (await lab.call(requestState=second["requestState"], inputResponses=answers)).result
    assert (last["resultType"], last["content"][0]["text"]) == ("complete", "Hello Ada!")
    assert lab.begun == 1


async def test_the_parameter_is_hidden_from_callers(lab: Lab) -> None:
    (tool,) = (await lab.door.request(MODERN, "tools/list", path=PATH)).result["tools"]
    assert tool["inputSchema"]["properties"] == {}


async def test_what_is_missing_is_asked_for_again(lab: Lab) -> None:
    first = (await lab.call()).result
    again = (await lab.call(requestState=first["requestState"], inputResponses={})).result
    assert again["inputRequests"] == first["inputRequests"]
    assert lab.begun == 1


async def test_answers_that_come_with_the_first_request_are_used(lab: Lab) -> None:
    answers = {"name": accepted(name="Ada"), "loud": accepted(answer=False)}
    result = (await lab.call(inputResponses=answers)).result
    assert result["content"][0]["text"] == "Hello Ada."


@pytest.mark.parametrize(
    "response", [7, None, {}, {"action": "maybe"}, {"action": "accept"}, accepted(name=5)]
)
async def test_an_answer_that_is_none_is_refused_and_may_be_given_again(
    lab: Lab, response: Any
) -> None:
    first = (await lab.call()).result
    state = first["requestState"]
    refused = await lab.call(requestState=state, inputResponses={"name": response})
    assert (refused.status, refused.error["code"]) == (400, -32602)
    right = {"name": accepted(name="Ada")}
    assert (await lab.call(requestState=state, inputResponses=right)).result["inputRequests"]


async def test_a_user_who_declines_is_an_error_that_the_function_may_catch(lab: Lab) -> None:
    first = (await lab.call()).result
    answers = {"name": {"action": "decline"}}
    result = (await lab.call(requestState=first["requestState"], inputResponses=answers)).result
    assert result["isError"]
    assert "did not answer: decline" in result["content"][0]["text"]


async def test_the_state_is_good_once_and_for_its_own_request_and_caller_only(lab: Lab) -> None:
    state = (await lab.call()).result["requestState"]
    answers = {"name": accepted(name="Ada")}
    for params in (
        {"requestState": state + "A"},
        {"requestState": state[:-2]},
        {"requestState": "x" * 5_000},
        {"requestState": 5},
        {"requestState": state, "arguments": {"other": 1}},
        {"requestState": state, "token": "Bearer good"},
    ):
        refused = await lab.call(**{"inputResponses": answers, **params})
        assert (refused.status, refused.error["code"]) == (400, -32602), params
    assert "result" in (await lab.call(requestState=state, inputResponses=answers)).json
    used = await lab.call(requestState=state, inputResponses=answers)
    assert "used or has expired" in used.error["message"]


async def test_the_state_of_one_service_is_none_of_another(lab: Lab) -> None:
    lab.gateway.add_service("ws-lab/worker:twin", {"greet": lab.greet()}, visibility="public")
    state = (await lab.call()).result["requestState"]
    params = {
        "name": "greet",
        "arguments": {},
        "requestState": state,
        "inputResponses": {"name": accepted(name="Ada")},
        "_meta": CAN_ASK,
    }
    path = "/ws-lab/mcp/twin/mcp"
    refused = await lab.door.request(MODERN, "tools/call", params, path=path)
    assert "belongs to another request" in refused.error["message"]


async def test_a_capability_that_is_not_declared_is_named(lab: Lab) -> None:
    response = await lab.call(meta=None)
    assert (response.status, response.error["code"]) == (400, -32021)
    assert response.error["data"] == {"requiredCapabilities": {"elicitation": {}}}


@pytest.mark.parametrize("version", LEGACY)
async def test_a_client_of_the_handshake_without_a_session_is_told_why(
    lab: Lab, version: str
) -> None:
    result = (await lab.call(version, meta=None)).result
    assert result["isError"]
    assert "has no session" in result["content"][0]["text"]


async def test_the_function_ends_when_its_client_leaves() -> None:
    lab = Lab()
    reached = asyncio.Event()

    async def wait(interaction: Any = None) -> None:
        """Wait."""
        reached.set()
        try:
            await asyncio.Event().wait()
        finally:
            lab.ended.set()

    function = described(wait, TAKES_INTERACTION)
    lab.gateway.add_service("ws-lab/worker:wait", {"wait": function}, visibility="public")
    path = "/ws-lab/mcp/wait/mcp"
    live = lab.door.begin(MODERN, "tools/call", {"name": "wait", "_meta": CAN_ASK}, path=path)
    await reached.wait()
    live.leave()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await lab.ended.wait()


async def test_progress_and_log_reach_a_client_that_wants_them() -> None:
    lab = Lab()

    async def work(interaction: Any = None) -> str:
        """Work."""
        await interaction["progress"](0, 10)
        await interaction["log"]("debug", "not this")
        await interaction["log"]("warning", {"a": 1}, "lab")
        await interaction["progress"](5, 10, "half")
        return "done"

    function = described(work, TAKES_INTERACTION)
    lab.gateway.add_service("ws-lab/worker:work", {"work": function}, visibility="public")
    meta = {**CAN_ASK, "progressToken": "p", f"{META}logLevel": "info"}
    params = {"name": "work", "_meta": meta}
    path = "/ws-lab/mcp/work/mcp"
    *notes, last = (await lab.door.request(MODERN, "tools/call", params, path=path)).events
    assert [(n["method"], n["params"]) for n in notes] == [
        ("notifications/progress", {"progressToken": "p", "progress": 0, "total": 10}),
        ("notifications/message", {"level": "warning", "data": {"a": 1}, "logger": "lab"}),
        (
            "notifications/progress",
            {"progressToken": "p", "progress": 5, "total": 10, "message": "half"},
        ),
    ]
    assert last["result"]["content"][0]["text"] == "done"
    quiet = await lab.door.request(MODERN, "tools/call", {"name": "work"}, path=path)
    assert quiet.headers["content-type"] == "application/json"
