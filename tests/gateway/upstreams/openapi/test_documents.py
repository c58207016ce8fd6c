"""OpenAPI documents of every kind that there is, good and bad: what becomes of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.upstreams.openapi.document import BadDocument, Document, base_url
from gateway.upstreams.openapi.operations import Operation, operations
from tests.patience import cpu_seconds

SOURCE = "https://api.example/docs/openapi.json"


def document(paths: Any = None, **more: Any) -> Document:
    content = {"openapi": "3.1.0", "info": {"title": "A"}, "paths": paths or {}, **more}
    return Document.parse(json.dumps(content))


def posting(schema: Any) -> dict[str, Any]:
    body = {"content": {"application/json": {"schema": schema}}}
    return {"/x": {"post": {"operationId": "x", "requestBody": body}}}


def only(made: Document) -> Operation:
    [found], omitted = operations(made)
    assert omitted == {}
    return found


def schema_of(operation: Operation) -> Any:
    return operation.tool()["inputSchema"]


PETS: dict[str, Any] = {
    "swagger": "2.0",
    "info": {"title": "Pets", "version": "1"},
    "host": "pets.example",
    "basePath": "/v2",
    "schemes": ["http", "https"],
    "consumes": ["application/xml", "application/json"],
    "parameters": {"Limit": {"name": "limit", "in": "query", "type": "integer", "maximum": 10}},
    "paths": {
        "/pet": {
            "parameters": [{"$ref": "#/parameters/Limit"}],
            "get": {
                "operationId": "find",
                "parameters": [
                    {
                        "name": "status",
                        "in": "query",
                        "required": True,
                        "type": "array",
                        "items": {"type": "string", "enum": ["sold"]},
                        "collectionFormat": "multi",
                    },
                    {"name": "ids", "in": "query", "type": "array", "items": {"type": "integer"}},
                ],
            },
            "post": {
                "operationId": "add",
                "parameters": [
                    {"name": "limit", "in": "query", "type": "string"},
                    {
                        "name": "body",
                        "in": "body",
                        "required": True,
                        "schema": {"$ref": "#/definitions/Pet"},
                    },
                ],
            },
        },
        "/pet/{id}/image": {
            "post": {
                "operationId": "upload",
                "parameters": [
                    {"name": "id", "in": "path", "required": True, "type": "integer"},
                    {"name": "note", "in": "formData", "type": "string", "description": "why"},
                    {"name": "file", "in": "formData", "required": True, "type": "file"},
                ],
            }
        },
    },
    "definitions": {
        "Pet": {
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": {"type": "string"},
                "parent": {"$ref": "#/definitions/Pet"},
            },
        }
    },
}


def test_a_document_of_swagger_2_is_read_as_one_of_version_3() -> None:
    made = Document.parse(json.dumps(PETS))
    assert base_url(made, "https://pets.example/v2/swagger.json", None) == "https://pets.example/v2"
    found, omitted = operations(made)
    assert omitted == {}
    find, add, upload = found
    assert schema_of(find)["properties"] == {
        "limit": {"type": "integer", "maximum": 10},
        "status": {"type": "array", "items": {"type": "string", "enum": ["sold"]}},
        "ids": {"type": "array", "items": {"type": "integer"}},
    }
    assert schema_of(find)["required"] == ["status"]
    assert [a.explode for a in find.arguments] == [True, True, False]
    assert schema_of(add)["properties"]["limit"] == {"type": "string"}
    assert schema_of(add)["properties"]["parent"] == {"$ref": "#/$defs/Pet"}
    assert add.media_type == "application/json"
    assert schema_of(upload)["properties"] == {
        "id": {"type": "integer"},
        "note": {"type": "string", "description": "why"},
        "file": {"type": "string", "contentEncoding": "base64"},
    }
    assert schema_of(upload)["required"] == ["id", "file"]
    assert upload.media_type == "multipart/form-data"


@pytest.mark.parametrize(
    ("servers", "expected"),
    [
        ({"host": "a.example"}, "https://a.example"),
        ({"basePath": "/v1"}, "https://pets.example/v1"),
        ({"host": "pets.example", "schemes": ["http"]}, "http://pets.example"),
    ],
)
def test_the_host_of_a_document_of_swagger_2(servers: dict[str, Any], expected: str) -> None:
    made = Document({"swagger": "2.0", "info": {}, "paths": {}, **servers})
    assert made.server_url("https://pets.example/swagger.json").rstrip("/") == expected  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not an OpenAPI document"),
        ("[]", "not an OpenAPI document"),
        ("{:", "neither JSON nor YAML"),
        ("<html>", "not an OpenAPI document"),
        ('{"openapi": "4.0.0"}', "must be OpenAPI 3"),
        ('{"swagger": "1.2"}', "not Swagger 1.2"),
        ('{"info": {}}', "must be OpenAPI 3"),
        ("[" * 100_000, "nested too deeply|neither JSON nor YAML"),
        ("a: &a [x]\nb: *a\n", "neither JSON nor YAML"),
    ],
)
def test_what_is_no_document_is_said(text: str, words: str) -> None:
    with pytest.raises(BadDocument, match=words):
        Document.parse(text)


@pytest.mark.parametrize("version", ["3.0.0", "3.0.3", "3.1.0", "3.1.1", "3.2.0"])
def test_every_version_of_3_is_read(version: str) -> None:
    made = document({"/x": {"get": {}}}, openapi=version)
    assert only(made).name == "get_x"


def test_null_in_either_dialect_is_null() -> None:
    old = document(posting({"type": "string", "nullable": True}), openapi="3.0.3")
    new = document(posting({"type": ["string", "null"]}))
    assert schema_of(only(old)) == schema_of(only(new))


def test_a_recursive_schema_stays_as_it_is() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Node"}}}
    made = document(
        posting({"$ref": "#/components/schemas/Node"}), components={"schemas": {"Node": node}}
    )
    schema = schema_of(only(made))
    assert schema["properties"] == {"next": {"$ref": "#/$defs/Node"}}
    assert schema["$defs"]["Node"]["properties"] == {"next": {"$ref": "#/$defs/Node"}}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$ref": "https://evil.example/x.json"}, "not followed"),
        ({"$ref": "other.yaml#/X"}, "not followed"),
        ({"$ref": "file:///etc/passwd"}, "not followed"),
        ({"$ref": "#/components/schemas/Nothing"}, "nothing at"),
    ],
)
def test_an_operation_that_refers_elsewhere_is_left_out_with_the_reason(
    schema: Any, words: str
) -> None:
    paths = {**posting(schema), "/good": {"get": {"operationId": "good"}}}
    found, omitted = operations(document(paths))
    assert [operation.name for operation in found] == ["good"]
    assert words in omitted["POST /x"]


def test_references_in_a_circle_end() -> None:
    loop = {"A": {"$ref": "#/components/schemas/B"}, "B": {"$ref": "#/components/schemas/A"}}
    made = document(posting({"$ref": "#/components/schemas/A"}), components={"schemas": loop})
    found, omitted = operations(made)
    assert len(found) + len(omitted) == 1


def test_a_schema_that_grows_out_of_a_small_document_has_an_end() -> None:
    wide = {
        f"S{i}": {"type": "object", "properties": {f"p{j}": {"type": "string"} for j in range(50)}}
        for i in range(500)
    }
    everything = {"anyOf": [{"$ref": f"#/components/schemas/S{i}"} for i in range(500)]}
    paths = {**posting(everything), "/good": {"get": {"operationId": "good"}}}
    made = document(paths, components={"schemas": wide})
    found, omitted = operations(made)
    assert [operation.name for operation in found] == ["good"]
    assert "too large" in omitted["POST /x"]
    assert cpu_seconds(lambda: operations(made)) < 5


def test_a_deep_schema_has_an_end() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(200):
        schema = {"type": "array", "items": schema}
    _, omitted = operations(document(posting(schema)))
    assert "too large" in omitted["POST /x"]


def test_more_operations_than_a_model_could_use_have_to_be_chosen_from() -> None:
    paths = {f"/x{i}": {"get": {"operationId": f"op{i}"}} for i in range(2_001)}
    with pytest.raises(BadDocument, match="2001 operations, more than 2000: choose with 'include'"):
        operations(document(paths))
    found, _ = operations(document(paths), include=("op1*",))
    assert len(found) == 1_111


@pytest.mark.parametrize(
    ("servers", "expected"),
    [
        (None, "https://api.example"),
        ([], "https://api.example"),
        ([{"url": "/v1"}], "https://api.example/v1"),
        ([{"url": "../v2"}], "https://api.example/v2"),
        ([{"url": "https://api.example/{v}", "variables": {"v": {"default": "v3"}}}], "v3"),
    ],
)
def test_the_api_is_where_the_document_says_or_where_it_came_from(
    servers: Any, expected: str
) -> None:
    made = document(**({"servers": servers} if servers is not None else {}))
    assert base_url(made, SOURCE, None).endswith(expected)


@pytest.mark.parametrize(
    ("servers", "words"),
    [
        ([{"url": "https://evil.example"}], "confirm that with a 'baseUrl'"),
        ([{"url": "http://api.example"}], "confirm that with a 'baseUrl'"),
    ],
)
def test_a_document_does_not_send_credentials_elsewhere(servers: Any, words: str) -> None:
    with pytest.raises(BadDocument, match=words):
        base_url(document(servers=servers), SOURCE, None)
    assert base_url(document(servers=servers), SOURCE, "https://b.example/") == "https://b.example"


def test_nonsense_in_a_document_costs_nobody_the_rest() -> None:
    paths: dict[Any, Any] = {
        "/good": {"get": {"operationId": "good"}},
        "/a": None,
        "/b": {"get": None, "post": []},
        "/c": {"get": {"parameters": "x", "operationId": 7}},
        "/d": {"get": {"parameters": [None, {"in": "query"}, {"name": "q", "in": "moon"}]}},
        "/e": {"post": {"requestBody": {"content": []}}},
        7: {"get": {}},
    }
    found, _ = operations(document(paths))
    assert "good" in [operation.name for operation in found]
