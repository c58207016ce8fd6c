"""The OpenAPI documents: of a service, of a workspace, of the gateway."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.testing import FakeGateway
from http_proxy.errors import REMOTE_STATUS, STATUS
from tests.http_proxy.openapi_documents import NUMBER, TWO, Offer, document, function, of

TOKEN = {"Authorization": "Bearer good"}
BASE = "http://127.0.0.1:9527"


@pytest.fixture
def offer(gateway: FakeGateway) -> Offer:
    return Offer(gateway)


def statuses(operation: Mapping[str, Any]) -> set[int]:
    return {int(status) for status in operation["responses"]}


async def test_a_function_is_a_post_and_a_get(client: httpx.AsyncClient, offer: Offer) -> None:
    offer({"add": function(TWO)}, name="Typed", description="For tests.")
    made = await document(client)
    assert made["openapi"] == "3.1.0"
    assert made["info"]["title"] == "Typed"
    assert made["servers"] == [{"url": f"{BASE}/ws-lab/services/typed"}]
    assert made["tags"] == [{"name": "Typed", "description": "For tests."}]
    item = made["paths"]["/add"]
    arguments = {"$ref": "#/components/schemas/AddArguments"}
    assert made["components"]["schemas"]["AddArguments"] == TWO
    assert item["post"]["requestBody"] == {
        "content": {
            "application/json": {"schema": arguments},
            "application/msgpack": {"schema": arguments},
        },
        "required": True,
    }
    assert item["get"]["parameters"] == [
        {
            "name": "a",
            "in": "query",
            "required": True,
            "schema": NUMBER,
            "description": "First",
        },
        {"name": "b", "in": "query", "required": False, "schema": {"type": "integer"}},
    ]
    for operation, id in (("get", "get_add"), ("post", "add")):
        assert item[operation]["operationId"] == id
        assert item[operation]["tags"] == ["Typed"]
        assert item[operation]["summary"] == "Do it."


async def test_every_status_of_the_error_table_is_documented_and_no_other(
    client: httpx.AsyncClient, offer: Offer
) -> None:
    offer({"add": function(TWO)})
    made = await document(client)
    possible = {200, *STATUS.values(), *REMOTE_STATUS.values()} - {405}
    assert statuses(made["paths"]["/add"]["post"]) == possible
    assert statuses(made["paths"]["/add"]["get"]) == possible - {413, 415}
    answers = made["components"]["responses"]
    assert answers.pop("Result")["content"].keys() == {
        "application/json",
        "application/msgpack",
        "application/octet-stream",
        "application/x-ndjson",
        "text/event-stream",
    }
    for answer in answers.values():
        assert answer["content"] == {
            "application/json": {"schema": {"$ref": "#/components/schemas/Error"}},
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}},
        }
    assert "WWW-Authenticate" in answers["Unauthorized"]["headers"]
    assert "Retry-After" in answers["TooManyRequests"]["headers"]


async def test_an_error_is_what_its_schema_says(client: httpx.AsyncClient) -> None:
    schemas = (await document(client, ""))["components"]["schemas"]
    told = (await client.get("/ws-lab/services/none")).json()
    assert set(schemas["Error"]["required"]) == told.keys()
    accept = {"Accept": "application/problem+json"}
    told = (await client.get("/ws-lab/services/none", headers=accept)).json()
    assert set(schemas["Problem"]["required"]) == told.keys()


async def test_operation_ids_are_identifiers_and_unique(
    client: httpx.AsyncClient, offer: Offer
) -> None:
    names = ["add", "get_add", "getAdd", "a-b", "a_b", "aB", "2nd", "class", "größe", "x y?#{z}"]
    offer({**{name: function(TWO) for name in names}, "math": {"add": function(TWO)}})
    made = await document(client)
    ids = [op["operationId"] for item in made["paths"].values() for op in item.values()]
    assert len(ids) == 2 * (len(names) + 1)
    assert all(id.isidentifier() and id.isascii() for id in ids)
    assert len({id.replace("_", "").lower() for id in ids}) == len(ids)
    assert made["paths"]["/get_add"]["post"]["operationId"] == "get_add"
    assert made["paths"]["/math.add"]["post"]["operationId"] == "math_add"
    assert "/x%20y%3F%23%7Bz%7D" in made["paths"]


async def test_odd_services_have_valid_documents(client: httpx.AsyncClient, offer: Offer) -> None:
    offer(
        {"": function(TWO), "a/b": function(TWO), "\ud800": function(TWO, "\ud800"), "c": 7},
        config={"version": "2.1", "visibility": "public"},
        description="",
        docs="More\ud800 words.",
    )
    made = await document(client)
    assert list(made["paths"]) == ["/%3F"]
    assert made["info"]["version"] == "2.1"
    assert made["info"]["description"].startswith("More? words.")


async def test_the_address_of_the_request_is_the_server(
    client: httpx.AsyncClient, offer: Offer, gateway: FakeGateway
) -> None:
    offer({"add": function(TWO)})
    gateway.add_service("ws-lab/gateway:~", {"ping": lambda: "pong"}, visibility="public")
    for asked, told in (
        ("typed", "typed"),
        ("worker:typed", "worker:typed"),
        ("*:typed@*", "typed"),
        ("ws", "ws"),
    ):
        made = await document(client, f"/ws-lab/services/{asked}")
        assert made["servers"] == [{"url": f"{BASE}/ws-lab/services/{told}"}]


async def test_the_document_of_a_workspace_has_what_its_caller_may_see(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    for worker in (1, 2):
        schema = {"add": function(TWO)}
        gateway.add_service(
            f"ws-lab/worker-{worker}:twin", {}, service_schema=schema, visibility="public"
        )
    gateway.add_service("ws-lab/worker:built-in", {"ping": lambda: "pong"}, visibility="public")
    outside = await document(client, "/ws-lab")
    assert outside["servers"] == [{"url": f"{BASE}/ws-lab"}]
    tags = [tag["name"] for tag in outside["tags"]]
    assert tags == ["calc", "worker-1:twin", "worker-2:twin"]
    assert "/services/calc/ns.deep.f" in outside["paths"]
    assert outside["paths"]["/services/worker-1:twin/add"]["post"]["operationId"] == (
        "worker_1_twin_add"
    )
    answer = await client.get("/ws-lab/openapi.json", headers=TOKEN)
    inside = answer.json()
    OpenAPIV31SpecValidator(inside).validate()
    protected = inside["paths"]["/services/private/add"]["post"]["security"]
    assert protected == [{"bearer": []}, {"cookie": []}]
    assert {} in inside["paths"]["/services/calc/add"]["post"]["security"]
    assert "hidden" not in answer.text


async def test_who_may_not_see_a_service_gets_no_document(client: httpx.AsyncClient) -> None:
    for path, status in (
        ("/ws-lab/services/private/openapi.json", 403),
        ("/ws-lab/services/none/openapi.json", 404),
        ("/ws-none/openapi.json", 404),
    ):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["success"]) == (status, False)
    answer = await client.get("/ws-lab/services/private/openapi.json", headers=TOKEN)
    assert answer.json()["security"] == [{"bearer": []}, {"cookie": []}]


async def test_the_gateway_describes_its_own_routes(client: httpx.AsyncClient) -> None:
    made = await document(client, "")
    assert "/{workspace}/services/{service}/{function}" in made["paths"]
    assert made["servers"] == [{"url": BASE}]


@pytest.mark.parametrize(
    "path", ["/openapi.json", "/ws-lab/openapi.json", "/ws-lab/services/calc/openapi.json"]
)
async def test_an_unchanged_document_is_not_sent_again(
    client: httpx.AsyncClient, path: str
) -> None:
    first = await client.get(path)
    etag = first.headers["etag"]
    assert first.headers["cache-control"] == "private, no-cache"
    assert first.headers["access-control-allow-origin"] == "*"
    for tags in (etag, f'"other", {etag.removeprefix("W/")}', "*"):
        again = await client.get(path, headers={"If-None-Match": tags})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    changed = await client.get(path, headers={"If-None-Match": '"other"'})
    assert changed.content == first.content
    head = await client.head(path)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", etag)


async def test_a_new_registration_is_a_new_document(
    client: httpx.AsyncClient, offer: Offer
) -> None:
    offer({"add": function(TWO)})
    first = await client.get("/ws-lab/openapi.json")
    offer({"sum": function(TWO)})
    assert (await document(client))["paths"].keys() == {"/sum"}
    second = await client.get("/ws-lab/openapi.json")
    assert "/services/typed/sum" in second.json()["paths"]
    assert first.headers["etag"] != second.headers["etag"]


async def test_a_function_wins_over_a_document_and_a_page(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    own = {"docs": lambda: "mine", "openapi": {"json": lambda: "mine too"}}
    gateway.add_service("ws-lab/worker:own", own, visibility="public")
    assert (await client.get("/ws-lab/services/own/docs")).json() == "mine"
    assert (await client.get("/ws-lab/services/own/openapi.json")).json() == "mine too"
    assert "/services/own/docs" in (await document(client, "/ws-lab"))["paths"]


async def test_only_reading_gets_a_document(client: httpx.AsyncClient) -> None:
    for name in ("openapi.json", "docs"):
        answer = await client.post(f"/ws-lab/services/calc/{name}")
        assert answer.status_code == 404


async def test_functions_that_ask_are_answered_with_202_and_say_where_answers_go(
    client: httpx.AsyncClient, offer: Offer
) -> None:
    offer({"book": of({"city": {}, "interaction": {}}), "add": function(TWO)})
    made = await document(client)
    assert made["components"]["schemas"]["BookArguments"]["properties"].keys() == {"city"}
    told = {"$ref": "#/components/responses/Asking"}
    assert made["paths"]["/book"]["post"]["responses"]["202"] == told
    assert 202 not in statuses(made["paths"]["/add"]["post"])
    assert "Location" in made["components"]["responses"]["Asking"]["headers"]
    for path, address in (("/ws-lab", "/asks/{id}"), ("", "/{workspace}/asks/{id}")):
        item = (await document(client, path))["paths"][address]
        assert statuses(item["post"]) >= {200, 202, 204, 404}
        assert statuses(item["get"]) >= {200, 404}


async def test_what_never_asks_has_a_document_without_it(
    client: httpx.AsyncClient, offer: Offer
) -> None:
    offer({"Asked": of({"a": {"$ref": "#/$defs/Asked"}}, **{"$defs": {"Asked": {}}})})
    made = await document(client)
    assert "Asking" not in made["components"]["responses"]
    assert made["components"]["schemas"]["Asked"] == {}
