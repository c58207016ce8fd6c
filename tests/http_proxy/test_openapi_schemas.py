"""The arguments of functions in an OpenAPI document."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from gateway.testing import FakeGateway
from tests.http_proxy.openapi_documents import NUMBER, TWO, Offer, document, function, of


@pytest.fixture
def offer(gateway: FakeGateway) -> Offer:
    return Offer(gateway)


async def test_a_url_has_room_for_words_and_numbers_only(
    client: httpx.AsyncClient, offer: Offer
) -> None:
    color = {"$defs": {"Color": {"type": "string", "enum": ["red", "blue"]}}}
    plain = {
        "optional": of({"x": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}}),
        "either": of({"x": {"type": ["string", "integer", "null"]}}),
        "union": of({"x": {"oneOf": [{"type": "string"}, {"type": "integer"}], "default": 1}}),
        "chosen": of({"x": {"enum": ["a", 1, None]}}),
        "constant": of({"x": {"const": "a"}}),
        "reference": of({"x": {"$ref": "#/$defs/Color"}}, **color),
        "composed": of({"x": {"allOf": [{"$ref": "#/$defs/Color"}], "default": "red"}}, **color),
        "untyped": of({"x": {"type": "string", "description": ""}}),
        "shown": of({"x": {"type": "string", "examples": ["one", "two"]}}),
    }
    needed = {"required": ["x"]}
    rich = {
        "list": of({"x": {"type": "array"}}, **needed),
        "object": of(
            {"x": {"$ref": "#/$defs/P"}}, **needed, **{"$defs": {"P": {"type": "object"}}}
        ),
        "mixed": of({"x": {"anyOf": [{"type": "string"}, {"type": "array"}]}}, **needed),
        "nothing": of({"x": {"type": "null"}}, **needed),
        "never": of({"x": False}, **needed),
        "open": of({}, patternProperties={"^x": NUMBER}),
        "unknown": function(),
    }
    offer({**plain, **rich})
    paths = (await document(client))["paths"]
    schemas = {
        name: paths[f"/{name}"]["get"]["parameters"][0]["schema"]
        for name in plain
        if "get" in paths[f"/{name}"]
    }
    reference = {"$ref": "#/components/schemas/Color"}
    assert schemas == {
        "optional": {"type": "string"},
        "either": {"type": ["string", "integer"]},
        "union": {"oneOf": [{"type": "string"}, {"type": "integer"}], "default": 1},
        "chosen": {"type": ["string", "number"], "enum": ["a", 1]},
        "constant": {"type": "string", "const": "a"},
        "reference": reference,
        "composed": {**reference, "default": "red"},
        "untyped": {"type": ["string", "number"]},
        "shown": {"type": "string", "examples": ["one", "two"]},
    }
    assert paths["/shown"]["get"]["parameters"][0]["example"] == "one"
    assert [name for name in rich if "get" in paths[f"/{name}"]] == []


async def test_a_function_without_arguments_has_no_body(
    client: httpx.AsyncClient, offer: Offer
) -> None:
    offer({"ping": of({}), "any": of({}, additionalProperties=True)})
    made = await document(client)
    assert "parameters" not in made["paths"]["/ping"]["get"]
    assert "requestBody" not in made["paths"]["/ping"]["post"]
    assert made["paths"]["/any"]["post"]["requestBody"]["required"] is False


async def test_habits_of_hypha_rpc_are_mended_and_reserved_names_left_out(
    client: httpx.AsyncClient, offer: Offer
) -> None:
    properties = {
        "x": {"type": "string", "description": ""},
        "_mode": NUMBER,
        "_timeout": NUMBER,
        "n": {"type": "int"},
    }
    offer({"f": of(properties, required=["x", "context"])})
    schema = (await document(client))["components"]["schemas"]["FArguments"]
    assert schema["properties"] == {"x": {}, "n": {"type": "integer"}}
    assert schema["required"] == ["x"]


async def test_definitions_of_functions_share_one_space_of_names(
    client: httpx.AsyncClient, offer: Offer
) -> None:
    point = {"type": "object", "properties": {"x": NUMBER}}
    tree = {"type": "array", "items": {"$ref": "#/$defs/Tree"}}
    one = of(
        {"p": {"$ref": "#/$defs/Point"}, "t": {"$ref": "#/$defs/Tree"}},
        **{"$defs": {"Point": point, "Tree": tree}},
    )
    same = of({"q": {"$ref": "#/$defs/Point"}}, **{"$defs": {"Point": point}})
    other = of({"p": {"$ref": "#/definitions/Point"}}, definitions={"Point": {"type": "string"}})
    deep = of(
        {"p": {"$ref": "#/$defs/Point/properties/x"}, "q": {"$ref": "#/properties/p"}},
        **{"$defs": {"Point": point}},
    )
    error = of({"p": {"$ref": "#/$defs/Error"}}, **{"$defs": {"Error": NUMBER}})
    whole = of(
        {"child": {"$ref": "#"}, "n": {"$ref": "#/$defs/N"}},
        **{"$defs": {"N": {"items": {"$ref": "#"}}}},
    )
    kinds = {"propertyName": "kind", "mapping": {"p": "#/$defs/Point"}}
    union = of(
        {"u": {"oneOf": [{"$ref": "#/$defs/Point"}], "discriminator": kinds}},
        **{"$defs": {"Point": point}},
    )
    offer(
        {
            "one": one, "same": same, "other": other, "deep": deep, "error": error,
            "whole": whole, "union": union,
        }
    )  # fmt: skip
    schemas = (await document(client))["components"]["schemas"]
    prefix = "#/components/schemas/"
    assert schemas["OneArguments"]["properties"] == {
        "p": {"$ref": f"{prefix}Point"},
        "t": {"$ref": f"{prefix}Tree"},
    }
    assert schemas["Tree"] == {"type": "array", "items": {"$ref": f"{prefix}Tree"}}
    assert schemas["SameArguments"]["properties"]["q"] == {"$ref": f"{prefix}Point"}
    assert schemas["OtherArguments"]["properties"]["p"] == {"$ref": f"{prefix}Point_2"}
    assert schemas["Point_2"] == {"type": "string"}
    assert schemas["DeepArguments"]["properties"] == {
        "p": {"$ref": f"{prefix}Point/properties/x"},
        "q": {"$ref": f"{prefix}DeepArguments/properties/p"},
    }
    assert schemas["ErrorArguments"]["properties"]["p"] == {"$ref": f"{prefix}Error_2"}
    assert schemas["WholeArguments"]["properties"]["child"] == {"$ref": f"{prefix}WholeArguments"}
    assert schemas["N"] == {"items": {"$ref": f"{prefix}WholeArguments"}}
    chosen = schemas["UnionArguments"]["properties"]["u"]["discriminator"]
    assert chosen["mapping"] == {"p": f"{prefix}Point"}


@pytest.mark.parametrize(
    "parameters",
    [
        None,
        {"properties": {"x": {"$ref": "http://elsewhere.example/schema"}}},
        {"properties": {"x": {"$ref": "other.json#/a"}}},
        {"properties": {"x": {"$ref": "#named"}}},
        {"properties": {"x": {"$ref": "#/$defs/Missing"}}},
        {"properties": {"x": {"$ref": "#/$defs"}}, "$defs": {}},
        {"properties": {"x": {"$ref": 7}}},
        {"properties": {"x": {"$id": "urn:x"}}},
        {"properties": {"x": {"$dynamicRef": "#x"}}},
        {"properties": {"x": {"type": "no such type"}}},
        {"properties": {"x": {"required": True}}},
        {"properties": ["x"]},
        {"type": "array"},
        {"properties": {"x": {"default": 1 << 70}}},
        {"properties": {"x": {"description": "x" * 300_000}}},
        {"properties": {f"x{i}": NUMBER for i in range(2001)}},
    ],
)
async def test_a_schema_that_would_spoil_the_document_is_left_out(
    client: httpx.AsyncClient, offer: Offer, parameters: Any
) -> None:
    offer({"odd": function(parameters), "add": function(TWO)})
    made = await document(client)
    odd = made["paths"]["/odd"]
    assert odd.keys() == {"post"}
    assert odd["post"]["requestBody"]["content"]["application/json"]["schema"] == {
        "type": "object",
        "additionalProperties": True,
    }
    assert "The arguments are not described here: " in odd["post"]["description"]
    assert "AddArguments" in made["components"]["schemas"]


async def test_a_deep_schema_is_left_out(client: httpx.AsyncClient, offer: Offer) -> None:
    deep: dict[str, Any] = {}
    for _ in range(100):
        deep = {"items": deep}
    offer({"deep": of({"x": deep})})
    assert (await document(client))["paths"]["/deep"].keys() == {"post"}


async def test_schemas_together_have_a_limit(client: httpx.AsyncClient, offer: Offer) -> None:
    long = of({"x": {"type": "string", "description": "x" * 200_000}})
    offer({f"f{i}": long for i in range(25)})
    paths = (await document(client))["paths"]
    assert sum("get" in item for item in paths.values()) == 20


async def test_functions_have_a_limit(client: httpx.AsyncClient, offer: Offer) -> None:
    offer({f"f{i}": of({}) for i in range(2003)})
    made = (await client.get("/ws-lab/services/typed/openapi.json")).json()
    assert len(made["paths"]) == 2000
    assert "3 more functions are not described here.\n\n" in made["info"]["description"]


async def test_an_optional_argument_that_needs_a_body_is_left_out_of_the_url(
    client: httpx.AsyncClient, offer: Offer
) -> None:
    offer({"f": of({"x": NUMBER, "options": {"type": "object"}}, required=["x"])})
    made = await document(client)
    assert [p["name"] for p in made["paths"]["/f"]["get"]["parameters"]] == ["x"]
    assert made["components"]["schemas"]["FArguments"]["properties"].keys() == {"x", "options"}
