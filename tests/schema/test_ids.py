from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.errors import InvalidRequest
from schema.ids import ServiceId, ServiceQuery, check_client_id, parse_registration_id

PART = st.from_regex(r"[A-Za-z0-9_.|-]{1,20}", fullmatch=True)


@given(PART, PART, PART, PART)
def test_the_full_form_reads_back_what_it_says(ws: str, client: str, svc: str, app: str) -> None:
    query = ServiceQuery.parse(f"{ws}/{client}:{svc}@{app}", "elsewhere")
    assert query == ServiceQuery(workspace=ws, service_id=svc, client_id=client, app_id=app)
    assert ServiceQuery.parse(str(query), "elsewhere") == query


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("svc", "w/*:svc@*"),
        ("c:svc", "w/c:svc@*"),
        ("v/svc", "v/*:svc@*"),
        ("v/c:svc", "v/c:svc@*"),
        ("v/*:svc@*", "v/*:svc@*"),
        ("svc@app", "w/*:svc@app"),
        ("v/~", "v/*:~@*"),
    ],
)
def test_short_forms_mean_the_callers_workspace_any_client_and_any_app(
    text: str, expected: str
) -> None:
    assert str(ServiceQuery.parse(text, "w")) == expected


@pytest.mark.parametrize(
    "text",
    ["", "*", "*/svc", "v/*", "a/b/c", "a:b:c", "s@a@b", "s*", "a?", "[a]", "{a}", "a b", "/s",
     ":s", "c:", "@a", "s@", "a\nb", "a\0b", "a\u202eb", "a\u200bb", "x" * 600, None, 5, ["svc"]],
)  # fmt: skip
def test_anything_else_is_refused(text: object) -> None:
    with pytest.raises(InvalidRequest):
        ServiceQuery.parse(text, "w")


@given(st.text(max_size=40))
def test_no_text_crashes_the_parser(text: str) -> None:
    with contextlib.suppress(InvalidRequest):
        ServiceQuery.parse(text, "w")


def test_a_registration_is_of_the_workspace_that_it_names_or_of_its_clients() -> None:
    assert parse_registration_id("v/c:s", "w") == ServiceId("v", "c", "s")
    assert parse_registration_id("c:s", "w") == ServiceId("w", "c", "s")
    for text in ("s", "w/c:", "w/c:a:b", "w/c:a@b", None):
        with pytest.raises(InvalidRequest):
            parse_registration_id(text, "w")


@pytest.mark.parametrize(
    "bad", ["", "a/b", "a:b", "a@b", "a*", "a b", "a\n", "a\0", "a\u202eb", None, 5, "x" * 200]
)
def test_a_client_id_has_no_separators(bad: object) -> None:
    with pytest.raises(InvalidRequest):
        check_client_id(bad)
    assert check_client_id("Ab_9-rtc__rlb") == "Ab_9-rtc__rlb"


def test_a_refusal_does_not_repeat_an_id_of_any_length() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        check_client_id("x" * 100_000)
    assert len(refusal.value.message) < 300
    with pytest.raises(InvalidRequest) as refusal:
        ServiceQuery.parse("x" * 100_000, "w")
    assert len(refusal.value.message) < 300


def test_nobody_registers_under_the_id_that_stands_for_the_manager() -> None:
    with pytest.raises(InvalidRequest, match="manager"):
        parse_registration_id("w/c:~", "w")
