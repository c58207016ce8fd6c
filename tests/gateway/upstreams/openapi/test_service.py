"""A FastAPI application as a service, by the document that it makes of itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from fastapi import Body, FastAPI, File, Form, Header, HTTPException, Query, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse
from pydantic import BaseModel

from schema.errors import FunctionNotFound, InvalidArguments, ProviderGone, ServiceError
from tests.gateway.upstreams.conftest import Run, call, find, listening, status, until

CANARY = "canary-4711-secret"
PNG = b"\x89PNG\r\n\x1a\n0000"


class Size(BaseModel):
    width: float
    height: float | None = None


class Item(BaseModel):
    id: int
    name: str
    tags: list[str] = []
    size: Size | None = None
    parts: list[Item] = []


def application() -> FastAPI:
    app = FastAPI(title="Shop", description="Things to buy.", version="1")

    @app.get("/items/{item_id}", operation_id="get-item", summary="One item")
    def get_item(
        item_id: str,
        q: str | None = None,
        tag: Annotated[list[str], Query()] = [],  # noqa: B006
        x_level: Annotated[int, Header()] = 0,
    ) -> Any:
        return {"id": item_id, "q": q, "tags": tag, "level": x_level}

    @app.put("/items/{id}", operation_id="put_item")
    def put_item(id: int, item: Item) -> Any:
        return {"path": id, "item": item.model_dump()}

    @app.delete("/items/{item_id}", operation_id="delete_item", status_code=204)
    def delete_item(item_id: int) -> None: ...

    @app.post("/numbers", operation_id="sum")
    def add_up(numbers: Annotated[list[int], Body()]) -> int:
        return sum(numbers)

    @app.post("/form", operation_id="form")
    def form(name: Annotated[str, Form()], age: Annotated[int, Form()]) -> Any:
        return {"name": name, "age": age}

    @app.post("/upload", operation_id="upload")
    def upload(file: Annotated[bytes, File()], note: Annotated[str, Form()]) -> Any:
        return {"size": len(file), "note": note}

    @app.get("/picture", operation_id="picture")
    def picture() -> Response:
        return Response(PNG, media_type="image/png")

    @app.get("/text", operation_id="text")
    def text() -> Response:
        return PlainTextResponse("grüße")

    @app.get("/fail", operation_id="fail")
    def fail(request: Request) -> Any:
        raise HTTPException(418, f"no tea for {request.headers.get('authorization')}" + "x" * 5000)

    @app.get("/echo", operation_id="echo")
    def echo(request: Request) -> Any:
        return {"headers": dict(request.headers)}

    @app.get("/moved", operation_id="moved")
    def moved() -> Response:
        return RedirectResponse("/text")

    @app.get("/elsewhere", operation_id="elsewhere")
    def elsewhere() -> Response:
        return RedirectResponse("http://127.0.0.1:1/steal")

    @app.get("/nowhere", operation_id="nowhere")
    def nowhere() -> Response:
        return RedirectResponse("http://[")

    @app.get("/around", operation_id="around")
    def around() -> Response:
        return RedirectResponse("/around")

    @app.head("/there", operation_id="there")
    def there() -> Response:
        return Response(headers={"Content-Length": "1000"})

    return app


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with listening(application(), lifespan="off") as port:
        yield f"http://127.0.0.1:{port}"


def entry(url: str, **more: Any) -> dict[str, Any]:
    return {"openapi": f"{url}/openapi.json", **more}


async def test_each_operation_is_a_function_with_a_schema(run: Run, url: str) -> None:
    parts = await run({"demo": entry(url)})
    service = await find(parts)
    assert (service.name, service.type, service.docs) == ("Shop", "openapi", "Things to buy.")
    get = service.functions["get-item"].declared
    assert get["title"] == "One item"
    assert list(get["parameters"]["properties"]) == ["item_id", "q", "tag", "x-level"]
    assert get["parameters"]["required"] == ["item_id"]
    put = service.functions["put_item"].declared["parameters"]
    assert list(put["properties"]) == ["id", "id_body", "name", "tags", "size", "parts"]
    assert set(put["$defs"]) == {"Item", "Size"}, "a recursive schema stays one"
    assert put["required"] == ["id", "id_body", "name"]


async def test_annotations_follow_from_the_method(run: Run, url: str) -> None:
    functions = (await find(await run({"demo": entry(url)}))).functions
    hints = {name: function.declared["annotations"] for name, function in functions.items()}
    assert hints["get-item"]["readOnlyHint"]
    assert not hints["sum"]["readOnlyHint"] and not hints["sum"]["idempotentHint"]
    assert hints["put_item"]["idempotentHint"] and not hints["put_item"]["destructiveHint"]
    assert hints["delete_item"]["destructiveHint"]


async def test_arguments_go_where_the_document_says(run: Run, url: str) -> None:
    parts = await run({"demo": entry(url)})
    got = await call(parts, "get-item", **{"item_id": "a ?%", "tag": ["x", "y&z"], "x-level": 3})
    assert got == {"id": "a ?%", "q": None, "tags": ["x", "y&z"], "level": 3}
    put = await call(parts, "put_item", id=1, id_body=2, name="n", size={"width": 1.5})
    assert put["path"] == 1
    assert put["item"]["id"] == 2
    assert put["item"]["size"]["width"] == 1.5
    assert await call(parts, "sum", body=[1, 2, 3]) == 6
    assert await call(parts, "form", name="Bo & Co", age=3) == {"name": "Bo & Co", "age": 3}
    assert await call(parts, "upload", file=b"\x00\x01\x02", note="n") == {"size": 3, "note": "n"}
    assert await call(parts, "upload", file="AAEC", note="n") == {"size": 3, "note": "n"}


async def test_answers_are_values(run: Run, url: str) -> None:
    parts = await run({"demo": entry(url)})
    assert await call(parts, "picture") == PNG
    assert await call(parts, "text") == "grüße"
    for _ in range(2):
        assert await call(parts, "delete_item", item_id=1) is None
        assert await call(parts, "there") is None, "an answer to HEAD has no body"
    assert await call(parts, "moved") == "grüße", "a redirect on the same host is followed"


async def test_wrong_arguments_are_said_before_anything_is_sent(run: Run, url: str) -> None:
    parts = await run({"demo": entry(url)})
    for arguments, words in (
        ({}, "Missing required argument: 'item_id'"),
        ({"item_id": 1, "other": 2}, "unexpected keyword argument 'other'"),
        ({"item_id": ".."}, "cannot be part of a path"),
    ):
        with pytest.raises(InvalidArguments, match=words):
            await call(parts, "get-item", **arguments)


async def test_an_error_of_the_api_has_its_status_and_no_credentials(run: Run, url: str) -> None:
    parts = await run({"demo": entry(url, headers={"Authorization": f"Bearer {CANARY}"})})
    with pytest.raises(ServiceError) as caught:
        await call(parts, "fail")
    assert caught.value.remote_type == "HTTPError"
    assert "HTTP 418" in caught.value.message
    assert "no tea for ***" in caught.value.message
    assert len(caught.value.message) < 1200
    echoed = await call(parts, "echo")
    assert CANARY not in str(echoed)
    assert echoed["headers"]["authorization"] == "***"


async def test_credentials_do_not_follow_a_redirect_to_another_host(run: Run, url: str) -> None:
    parts = await run({"demo": entry(url)})
    for function in ("elsewhere", "nowhere"):
        with pytest.raises(ServiceError, match="HTTP 307"):
            await call(parts, function)
    with pytest.raises(ServiceError, match="one redirect after another"):
        await call(parts, "around")


async def test_operations_are_chosen_by_patterns(run: Run, url: str) -> None:
    chosen = {"include": ["GET *", "sum"], "exclude": ["fail", "* /elsewhere"]}
    service = await find(await run({"demo": entry(url, **chosen)}))
    assert set(service.functions) == {
        *("get-item", "sum", "picture", "text", "echo", "moved"),
        *("nowhere", "around"),
    }


async def test_a_document_in_a_file_needs_to_know_where_the_api_is(
    run: Run, url: str, tmp_path: Any
) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(
        "openapi: 3.0.3\ninfo: {title: Shop, version: '1'}\npaths:\n  /text:\n"
        "    get: {operationId: text, responses: {'200': {description: ok}}}\n"
    )
    parts = await run(
        {"demo": {"openapi": str(file), "baseUrl": url}, "lost": {"openapi": str(file)}}
    )
    assert await call(parts, "text") == "grüße"
    lost = status(parts, "lost")
    await until(lambda: lost.supervisor.reason is not None)
    assert "give it a 'baseUrl'" in (lost.supervisor.reason or "")


async def test_an_api_that_is_down_is_a_provider_that_is_gone(run: Run, tmp_path: Any) -> None:
    file = tmp_path / "shop.json"
    file.write_text(
        '{"openapi": "3.1.0", "info": {"title": "S", "version": "1"}, "paths": {"/x": {"get": {}}}}'
    )
    parts = await run({"demo": {"openapi": str(file), "baseUrl": "http://127.0.0.1:1"}})
    assert set((await find(parts)).functions) == {"get_x"}
    with pytest.raises(ProviderGone) as caught:
        await call(parts, "get_x")
    assert not caught.value.delivered
    with pytest.raises(FunctionNotFound):
        await call(parts, "get_y")
