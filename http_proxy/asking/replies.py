"""What a caller sends as answers, read and checked against what was asked. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import jsonschema_rs

from gateway.questions import problem_of
from http_proxy.asking.conversation import Questions
from http_proxy.encoding import to_json
from schema.errors import InvalidArguments

_MAX_CHECKED: Final = 2_000_000
"""Bytes of an answer times bytes of its schema up to which it is checked (some 10 ms)."""
_REFERENCES: Final = (b'"$ref"', b'"$dynamicRef"', b'"$recursiveRef"')
_BACKTRACK_LIMIT: Final = 10_000
_PATTERN_BYTES: Final = 256 * 1024
_MAX_MESSAGE: Final = 300


def read_answers(questions: Questions, body: object) -> dict[str, Mapping[str, Any]]:
    """Answers by the keys of open questions: ``{key: {"action", "content"}}``, or for a single
    form what is filled in.

    Raises InvalidArguments for what is no answer; then none of it counts.
    """
    if not isinstance(body, Mapping):
        raise InvalidArguments("The answer must be an object")
    answers = {key: body[key] for key in questions if key in body}
    if len(questions) == 1 and not any(map(_is_reply, body.values())):
        ((key, question),) = questions.items()
        if question.request["method"] == "elicitation/create":
            answers = {key: body if _is_reply(body) else {"action": "accept", "content": body}}
    if not answers:
        raise InvalidArguments(f"What is asked: {', '.join(map(repr, questions))}")
    for key, answer in answers.items():
        problem = problem_of(questions[key].request, answer, _unfit)
        if problem is not None:
            raise InvalidArguments(f"The answer to {key!r} does not fit: {problem}")
    return answers


def _is_reply(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and "action" in value
        and value.keys() <= {"action", "content", "_meta"}
    )


def _unfit(schema: Mapping[str, Any], content: Mapping[str, Any]) -> str | None:
    """What is wrong with the content of a form. The function is the last judge: what would take
    long to check, and schemas that are none, are left to it."""
    written = to_json(schema)
    is_long = len(written) * len(to_json(content)) > _MAX_CHECKED
    if is_long or any(reference in written for reference in _REFERENCES):
        return None
    options = jsonschema_rs.FancyRegexOptions(_BACKTRACK_LIMIT, _PATTERN_BYTES)
    try:
        validator = jsonschema_rs.validator_for(dict(schema), offline=True, pattern_options=options)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError):
        return None
    try:
        validator.validate(dict(content))
    except jsonschema_rs.ValidationError as error:
        place = ".".join(map(str, error.instance_path))
        return f"{f'{place}: ' if place else ''}{error.message[:_MAX_MESSAGE]}"
    except ValueError:
        return "it nests too deep"
    return None
