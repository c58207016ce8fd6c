"""Values as content: every kind a function may return."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_bridge.arrays import MAX_VALUES, describe
from mcp_bridge.content import (
    NOT_FINITE,
    ToolResult,
    from_error,
    from_items,
    from_value,
    sniff,
    to_json,
)


def text_of(value: Any) -> str:
    block, *_ = from_value(value).content
    assert block["type"] == "text"
    return str(block["text"])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is\n", "as it is\n"),
        ("", ""),
        (5, "5"),
        (1.5, "1.5"),
        (True, "true"),
        (None, "null"),
        ([1, "a"], '[1,"a"]'),
        ((1, 2), "[1,2]"),
        ({"ä": 1}, '{"ä":1}'),
        ({1: "a", False: "b"}, '{"1":"a","false":"b"}'),
        (2**70, str(2**70)),
        ({"n": -(2**70)}, f'{{"n":{-(2**70)}}}'),
        ([math.nan, math.inf], "[null,null]"),
        ({"n": 2**70, "nan": math.nan}, f'{{"n":{2**70},"nan":null}}'),
        ({"data": b"hi"}, '{"data":"aGk="}'),
        ({"_rtype": "set", "_rvalue": [1, 2]}, "[1,2]"),
        ({"_rtype": "orderedmap", "_rvalue": [["a", 1], [2, b"hi"]]}, '{"a":1,"2":"aGk="}'),
        ({"x": {"_rtype": "memoryview", "_rvalue": b"hi"}}, '{"x":"aGk="}'),
        ({"_rtype": "custom", "n": 1}, '{"_rtype":"custom","n":1}'),
    ],
)
def test_a_value_is_text_that_a_model_can_read(value: Any, text: str) -> None:
    assert text_of(value) == text


def test_half_a_surrogate_pair_does_no_harm() -> None:
    assert text_of("a\ud800") == "a?"
    assert text_of({"a": "\ud800"}) == '{"a":"?"}'


def test_values_nested_without_end_are_cut() -> None:
    value: Any = "deep"
    for _ in range(400):
        value = [value]
    assert "nested too deeply" in text_of(value)


def test_integers_of_thousands_of_digits_do_no_harm() -> None:
    assert text_of([10**6000]).startswith('["0x')


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON)
def test_json_comes_back_as_it_was(value: Any) -> None:
    def utf8(node: Any) -> Any:
        return json.loads(json.dumps(node, ensure_ascii=False).encode("utf-8", "replace"))

    expected = utf8(value) if not _has_infinity(value) else None
    if expected is not None:
        assert json.loads(to_json(value)) == expected


def _has_infinity(value: Any) -> bool:
    return "Infinity" in json.dumps(value)


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "audio/wav"),
        (b"RIFF\x00\x00\x00\x00AVI ", "application/octet-stream"),
        (b"ID3\x04", "audio/mpeg"),
        (b"\xff\xfb\x90", "audio/mpeg"),
        (b"OggS", "audio/ogg"),
        (b"%PDF-1.7", "application/pdf"),
        (b"", "application/octet-stream"),
        (b"anything", "application/octet-stream"),
    ],
)
@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_bytes_are_known_by_their_beginning(data: bytes, media_type: str, wrap: Any) -> None:
    assert sniff(data) == media_type
    (block,) = from_value(wrap(data)).content
    held = block.get("resource", block)
    assert held["mimeType"] == media_type
    assert base64.b64decode(held.get("data", held.get("blob"))) == data
    assert block["type"] == {"image": "image", "audio": "audio"}.get(media_type[:5], "resource")


def test_an_encoded_memory_view_is_bytes() -> None:
    (block,) = from_value({"_rtype": "memoryview", "_rvalue": b"GIF89a"}).content
    assert block["mimeType"] == "image/gif"


SHAPED = {
    "content": [
        {"type": "text", "text": "hi"},
        {"type": "resource", "resource": {"uri": "x://y", "text": "z"}},
    ],
    "structuredContent": {"a": 1},
    "isError": True,
}


def test_a_tool_result_passes_through() -> None:
    assert from_value(SHAPED) == ToolResult(SHAPED["content"], b'{"a":1}', is_error=True)  # type: ignore[arg-type]


def test_a_tool_result_may_carry_what_json_lacks() -> None:
    block = {"type": "text", "text": "a\ud800", "_meta": {"n": 2**70, "b": b"hi", "nan": math.nan}}
    result = from_value({"content": [block], "_meta": {"b": b"hi"}})
    assert result.content[0]["text"] == "a?"
    assert result.content[0]["_meta"] == {"n": float(2**70), "b": "aGk=", "nan": None}
    assert result.meta == {"b": "aGk="}


@pytest.mark.parametrize(
    "value",
    [
        {"content": "text"},
        {"content": []},
        {"content": ["text"]},
        {"content": [{"type": "text"}]},
        {"content": [{"type": "image", "data": "AA"}]},
        {"content": [{"type": "resource", "resource": {"text": "z"}}]},
        {"content": [{"type": "resource", "resource": {"uri": "x://y"}}]},
        {"content": [{"type": "unknown"}]},
        {"content": [{"text": "hi"}]},
    ],
)
def test_what_only_looks_like_a_tool_result_is_a_value(value: Any) -> None:
    assert json.loads(text_of(value)) == value


def test_items_of_all_kinds_make_one_list() -> None:
    items = [from_value(value) for value in ("a", 1, None, {"b": [2]})]
    result = from_items(items)
    assert result.content == [{"type": "text", "text": '["a",1,null,{"b":[2]}]'}]
    assert result.encoded == b'{"result":["a",1,null,{"b":[2]}]}'
    assert from_items([]).encoded == b'{"result":[]}'


def test_a_long_error_is_cut() -> None:
    (block,) = from_error("x" * 10_000).content
    assert len(block["text"]) <= 2000


INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
DTYPES = ["bool", "float16", "float32", "float64", *INTEGERS]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 3), (2, 0, 3), (2, 1, 3), (2, 2, 2, 2)])
def test_arrays_are_spelled_out_as_numpy_would(dtype: str, shape: tuple[int, ...]) -> None:
    array = np.arange(math.prod(shape)).reshape(shape).astype(dtype)
    encoded = {"_rvalue": array.tobytes(), "_rshape": list(shape), "_rdtype": dtype}
    assert describe(encoded) == {"dtype": dtype, "shape": list(shape), "values": array.tolist()}


@pytest.mark.parametrize(
    ("array", "values"),
    [
        (np.array([1 + 2j, -0.5j], "complex64"), ["1+2j", "-0-0.5j"]),
        (np.array([[1j]], "complex128"), [["1j"]]),
        (np.array([1, -2], ">i4"), [1, -2]),
        (np.array([1.5], ">f2"), [1.5]),
        (np.array(["a", "\u00fc\U0001f600"]), ["a", "\u00fc\U0001f600"]),
        (np.array(["ab", ""], ">U3"), ["ab", ""]),
        (np.array([b"ab", b"c"]), ["ab", "c"]),
    ],
)
def test_types_without_a_plain_name_are_spelled_out_too(array: Any, values: Any) -> None:
    dtype = array.dtype.name if array.dtype.kind == "c" else array.dtype.str
    encoded = {"_rvalue": array.tobytes(), "_rshape": list(array.shape), "_rdtype": dtype}
    assert describe(encoded)["values"] == values


@pytest.mark.parametrize("dtype", ["datetime64[D]", "object", "[('a', '<i4')]", "<V4", "<U0", ">"])
def test_of_other_types_only_what_they_are_is_said(dtype: str) -> None:
    encoded = {"_rvalue": bytes(8), "_rshape": [1], "_rdtype": dtype}
    assert describe(encoded) == {"dtype": dtype, "shape": [1]}


def test_numbers_of_an_array_that_are_not_finite_are_null_with_a_note() -> None:
    data = np.array([np.nan, np.inf, 1.0]).tobytes()
    array = {"_rtype": "ndarray", "_rvalue": data, "_rshape": [3], "_rdtype": "float64"}
    shown, note = from_value({"array": array}).content
    assert json.loads(shown["text"])["array"]["values"] == [None, None, 1.0]
    assert note["text"] == NOT_FINITE
    assert len(from_value({"array": {**array, "_rvalue": bytes(24)}}).content) == 1


def test_a_typed_array_has_one_dimension() -> None:
    data = np.array([1, 2, 3], "<u2").tobytes()
    assert describe({"_rvalue": data, "_rdtype": "uint16"}) == {
        "dtype": "uint16",
        "shape": [3],
        "values": [1, 2, 3],
    }


@pytest.mark.parametrize("shape", [[MAX_VALUES + 1], [10**9, 0], [1000, 1000, 0]])
def test_a_large_array_is_only_described(shape: list[int]) -> None:
    encoded = {"_rvalue": bytes(math.prod(shape)), "_rshape": shape, "_rdtype": "uint8"}
    assert describe(encoded) == {"dtype": "uint8", "shape": shape}


@pytest.mark.parametrize(
    ("encoded", "expected"),
    [
        ({}, {"dtype": "", "shape": None}),
        ({"_rdtype": "uint8", "_rshape": "x", "_rvalue": b""}, {"dtype": "uint8", "shape": None}),
        ({"_rdtype": "uint8", "_rshape": [-1], "_rvalue": b""}, {"dtype": "uint8", "shape": None}),
        ({"_rdtype": "uint8", "_rshape": [9], "_rvalue": b"x"}, {"dtype": "uint8", "shape": [9]}),
        ({"_rdtype": "<U5", "_rshape": [1], "_rvalue": b"x"}, {"dtype": "<U5", "shape": [1]}),
    ],
)
def test_a_broken_array_is_described_as_far_as_it_goes(encoded: Any, expected: Any) -> None:
    assert describe(encoded) == expected


def test_a_model_inside_a_value_is_what_is_in_it() -> None:
    model = {"_rtype": "pydantic_model", "_rvalue": {"a": [1]}, "_rschema": {"title": "M"}}
    result = from_value({"model": model, "more": [{"deep": model}]})
    assert json.loads(result.encoded or b"") == {
        "model": {"a": [1]},
        "more": [{"deep": {"a": [1]}}],
    }


def test_an_array_inside_a_value_is_described_there() -> None:
    array = {"_rtype": "ndarray", "_rvalue": b"\x01\x02", "_rshape": [2], "_rdtype": "uint8"}
    result = from_value({"image": array, "n": 1})
    assert json.loads(result.encoded or b"") == {
        "image": {"dtype": "uint8", "shape": [2], "values": [1, 2]},
        "n": 1,
    }


def test_numbers_that_are_not_finite_are_null_and_said_to_be() -> None:
    result = from_value({"a": [1.0, float("nan")], "b": None})
    assert [block["text"] for block in result.content] == [
        '{"a":[1.0,null],"b":null}',
        "Numbers that are not finite (NaN, infinity) are shown as null.",
    ]
    assert len(from_value({"b": None}).content) == 1
