from __future__ import annotations

from typing import Any

from schema.functions import has_only_functions, iter_functions


def leaf(**declared: Any) -> dict[str, Any]:
    return {"type": "function", "function": declared}


def test_functions_are_found_in_order_with_their_dotted_path() -> None:
    tree = {
        "b": leaf(name="b", description="Second.", parameters={"properties": {"x": {}, "y": {}}}),
        "a": leaf(),
        "k": {"type": "number"},
        "ns": {"deep": {"f": leaf()}, "list": [leaf(), {"type": "string"}]},
    }
    functions = list(iter_functions(tree))
    assert [f.path for f in functions] == ["b", "a", "ns.deep.f", "ns.list.0"]
    assert functions[0].description == "Second."
    assert functions[0].parameter_names == ["x", "y"]
    assert functions[1].parameters is None


def test_a_member_called_type_does_not_make_its_map_a_function() -> None:
    tree = {"ns": {"type": leaf(), "other": leaf()}}
    assert [f.path for f in iter_functions(tree)] == ["ns.type", "ns.other"]


def test_whatever_a_provider_sends_as_schema_is_survived() -> None:
    endless: dict[str, Any] = {}
    endless["again"] = endless
    hostile: tuple[Any, ...] = (
        None,
        [],
        "x",
        5,
        {"f": {"type": "function", "function": 3}},
        endless,
    )
    for tree in hostile:
        list(iter_functions(tree))
    (function,) = iter_functions(
        {"f": {"type": "function", "function": {"description": 1, "parameters": "x"}}}
    )
    assert function.description == ""
    assert function.parameters is None


def test_a_service_of_functions_alone_is_told_from_one_with_other_members() -> None:
    assert has_only_functions({"f": leaf(), "ns": {"g": leaf()}, "l": [leaf()]})
    others: tuple[Any, ...] = (
        {},
        {"f": leaf(), "k": {"type": "number"}},
        {"ns": {}},
        {"x": None},
        None,
        "f",
    )
    for tree in others:
        assert not has_only_functions(tree)
