"""Offers what the conformance suite of MCP asks for, through an unmodified hypha-rpc client.

Argument: the gateway's URL. Prints the id of the service. Names and texts are the suite's.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from hypha_rpc import connect_to_server

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJ"
    "RU5ErkJggg=="
)
SOUND = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAAAAA=="
STEP_SECONDS = 0.05
POLL_SECONDS = 1.0
"""Connections of a session last no longer, so that a call that takes longer is read in two."""

Handler = Callable[..., Any]
Entry = dict[str, Any]


def text(words: str) -> Entry:
    return {"type": "text", "text": words}


def image() -> Entry:
    return {"type": "image", "data": PIXEL, "mimeType": "image/png"}


def embedded(uri: str, media_type: str, words: str) -> Entry:
    return {"type": "resource", "resource": {"uri": uri, "mimeType": media_type, "text": words}}


def result(*blocks: Entry) -> Entry:
    return {"content": list(blocks)}


def schema(**properties: Entry) -> Entry:
    return {"type": "object", "properties": properties, "required": list(properties)}


def tool(name: str, description: str, handler: Handler, input_schema: Entry | None = None) -> Entry:
    return {
        "name": name,
        "description": description,
        "inputSchema": input_schema or {"type": "object", "properties": {}},
        "handler": handler,
    }


def elicitation(message: str, **properties: Entry) -> Entry:
    asked = {"message": message, "requestedSchema": schema(**properties)}
    return {"method": "elicitation/create", "params": asked}


def sampling(prompt: str, tokens: int = 100) -> Entry:
    message = {"role": "user", "content": text(prompt)}
    return {
        "method": "sampling/createMessage",
        "params": {"messages": [message], "maxTokens": tokens},
    }


ROOTS: Entry = {"method": "roots/list", "params": {}}
STRING: Entry = {"type": "string"}
EVERYTHING_2020_12: Entry = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": STRING, "city": STRING},
        }
    },
    "properties": {
        "name": STRING,
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": STRING,
        "email": STRING,
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


# Tools that only answer


def test_simple_text() -> Entry:
    return result(text("This is a simple text response for testing."))


def test_image_content() -> Entry:
    return result(image())


def test_audio_content() -> Entry:
    return result({"type": "audio", "data": SOUND, "mimeType": "audio/wav"})


def test_embedded_resource() -> Entry:
    words = "This is an embedded resource content."
    return result(embedded("test://embedded-resource", "text/plain", words))


def test_multiple_content_types() -> Entry:
    data = json.dumps({"test": "data", "value": 123})
    resource = embedded("test://mixed-content-resource", "application/json", data)
    return result(text("Multiple content types test:"), image(), resource)


def test_error_handling() -> None:
    raise RuntimeError("This tool intentionally returns an error for testing")


def echo(**arguments: Any) -> Entry:
    return result(text(json.dumps(arguments)))


# Tools that tell and ask


async def test_tool_with_progress(interaction: Any = None) -> Entry:
    for step in (0, 50, 100):
        await interaction["progress"](step, 100)
        await asyncio.sleep(STEP_SECONDS)
    return result(text("Done"))


async def test_reconnection() -> Entry:
    await asyncio.sleep(1.5 * POLL_SECONDS)  # it ends while the second is open
    return result(text("Reconnected"))


async def test_tool_with_logging(interaction: Any = None) -> Entry:
    for words in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await interaction["log"]("info", words)
        await asyncio.sleep(STEP_SECONDS)
    return result(text("Logged"))


async def test_sampling(prompt: str, interaction: Any = None) -> Entry:
    answer = await interaction["request"]({"message": sampling(prompt)})
    return result(text(f"LLM response: {answer['message']['content']['text']}"))


async def test_elicitation(message: str, interaction: Any = None) -> Entry:
    asked = schema(
        username={"type": "string", "description": "User's response"},
        email={"type": "string", "description": "User's email address"},
    )
    answer = await interaction["elicit"](message, asked)
    words = f"action={answer['action']}, content={json.dumps(answer.get('content'))}"
    return result(text(f"User response: {words}"))


def completing(asked: Entry) -> Handler:
    async def handler(interaction: Any = None) -> Entry:
        answer = await interaction["elicit"]("Please fill in", asked)
        words = f"action={answer['action']}, content={json.dumps(answer.get('content'))}"
        return result(text(f"Elicitation completed: {words}"))

    return handler


DEFAULTS: Entry = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {
            "type": "string",
            "enum": ["active", "inactive", "pending"],
            "default": "active",
        },
        "verified": {"type": "boolean", "default": True},
    },
}
OPTIONS = ["option1", "option2", "option3"]
TITLED = [{"const": f"value{n}", "title": f"Choice {n}"} for n in (1, 2, 3)]
ENUMS: Entry = {
    "type": "object",
    "properties": {
        "untitledSingle": {"type": "string", "enum": OPTIONS},
        "titledSingle": {"type": "string", "oneOf": TITLED},
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": OPTIONS}},
        "titledMulti": {"type": "array", "items": {"anyOf": TITLED}},
    },
}


def asking(answer: Callable[[Entry], str], *rounds: Entry) -> Handler:
    """A tool that makes these rounds of requests, one after the other."""

    async def handler(interaction: Any = None) -> Entry:
        answers: Entry = {}
        for requests in rounds:
            answers.update(await interaction["request"](requests))
        return result(text(answer(answers)))

    return handler


NAME = {"user_name": elicitation("What is your name?", name=STRING)}
CONFIRM = {"confirm": elicitation("Please confirm", ok={"type": "boolean"})}
EVERYTHING = {
    **NAME,
    "greeting": sampling("Generate a greeting", 50),
    "client_roots": ROOTS,
}
STEPS = (
    {"step1": elicitation("Step 1: What is your name?", name=STRING)},
    {"step2": elicitation("Step 2: What is your favorite color?", color=STRING)},
)


async def test_input_required_result_capabilities(interaction: Any = None) -> Entry:
    possible = {"sampling": sampling("Say hello"), **NAME}
    kinds = {"sampling": "sampling", "user_name": "elicitation"}
    can = interaction["capabilities"]
    await interaction["request"]({k: v for k, v in possible.items() if kinds[k] in can})
    return result(text("Done"))


async def prompt_with_input(interaction: Any = None) -> Entry:
    question = elicitation("What context should the prompt use?", context=STRING)
    answers = await interaction["request"]({"user_context": question})
    words = f"Use this context: {answers['user_context']['content']['context']}"
    return {"messages": [{"role": "user", "content": text(words)}]}


class Service:
    """The service, and what it changes of itself when it is asked to."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._changes = 0

        # One object each, for good: the client library forgets a function that is registered
        # again as another object that is equal, as the methods of an object are.
        async def change_tools() -> Entry:
            return await self._change()

        async def change_prompts() -> Entry:
            return await self._change()

        self._triggers = [
            tool("test_trigger_tool_change", "Change the tools", change_tools),
            tool("test_trigger_prompt_change", "Change the prompts", change_prompts),
        ]

    async def register(self) -> str:
        options = {"overwrite": True}
        return str((await self._server.register_service(self._described(), options)).id)

    async def _change(self) -> Entry:
        self._changes += 1
        await self.register()
        return result(text("Changed"))

    def _described(self) -> Entry:
        return {
            "id": "conformance",
            "type": "mcp",
            "name": "Conformance",
            "config": {"visibility": "public", "mcp": {"poll_seconds": POLL_SECONDS}},
            "tools": [*TOOLS, *self._tools()],
            "resources": RESOURCES,
            "prompts": [*PROMPTS, *self._prompts()],
        }

    def _tools(self) -> list[Entry]:
        extra = [tool("test_dynamic", "Comes and goes", test_simple_text)] * (self._changes % 2)
        return [*self._triggers, *extra]

    def _prompts(self) -> list[Entry]:
        extra = {"name": "test_dynamic_prompt", "description": "Comes and goes", "read": prompt}
        return [extra] * (self._changes % 2)


TOOLS = [
    tool("test_simple_text", "Returns text", test_simple_text),
    tool("test_image_content", "Returns an image", test_image_content),
    tool("test_audio_content", "Returns a sound", test_audio_content),
    tool("test_embedded_resource", "Returns a resource", test_embedded_resource),
    tool("test_multiple_content_types", "Returns several", test_multiple_content_types),
    tool("test_error_handling", "Fails", test_error_handling),
    tool(
        "json_schema_2020_12_tool",
        "Tool with JSON Schema 2020-12 features",
        echo,
        EVERYTHING_2020_12,
    ),
    tool(
        "test_x_mcp_header",
        "Has an argument that is mirrored in a header",
        echo,
        schema(region={"type": "string", "x-mcp-header": "Region"}),
    ),
    tool("test_tool_with_progress", "Tells how far it is", test_tool_with_progress),
    tool("test_reconnection", "Takes longer than a connection lasts", test_reconnection),
    tool("test_tool_with_logging", "Logs", test_tool_with_logging),
    tool("test_logging_tool", "Logs", test_tool_with_logging),
    tool("test_sampling", "Asks the model", test_sampling, schema(prompt=STRING)),
    tool("test_missing_capability", "Needs the model", asking(str, {"m": sampling("Hello")})),
    tool("test_elicitation", "Asks the user", test_elicitation, schema(message=STRING)),
    tool("test_streaming_elicitation", "Asks the user", asking(str, NAME)),
    tool("test_elicitation_sep1034_defaults", "Asks with defaults", completing(DEFAULTS)),
    tool("test_elicitation_sep1330_enums", "Asks for choices", completing(ENUMS)),
    tool(
        "test_input_required_result_elicitation",
        "Asks for a name",
        asking(lambda a: f"Hello, {a['user_name']['content']['name']}!", NAME),
    ),
    tool(
        "test_input_required_result_sampling",
        "Asks the model",
        asking(str, {"capital_question": sampling("What is the capital of France?")}),
    ),
    tool(
        "test_input_required_result_list_roots",
        "Asks for roots",
        asking(lambda a: json.dumps(a["client_roots"]["roots"]), {"client_roots": ROOTS}),
    ),
    tool(
        "test_input_required_result_request_state",
        "Has a state",
        asking(lambda _: "state-ok", CONFIRM),
    ),
    tool("test_input_required_result_multiple_inputs", "Asks for all", asking(str, EVERYTHING)),
    tool("test_input_required_result_multi_round", "Asks twice", asking(str, *STEPS)),
    tool("test_input_required_result_tampered_state", "Has a state", asking(str, CONFIRM)),
    tool(
        "test_input_required_result_capabilities",
        "Asks for what there is",
        test_input_required_result_capabilities,
    ),
]


def template(id: str) -> str:
    return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


RESOURCES: list[Entry] = [
    {
        "uri": "test://static-text",
        "name": "Static text",
        "description": "A static text",
        "mimeType": "text/plain",
        "read": lambda: "This is the content of the static text resource.",
    },
    {
        "uri": "test://static-binary",
        "name": "Static binary",
        "description": "A static image",
        "mimeType": "image/png",
        "read": lambda: {"blob": PIXEL},
    },
    {
        "uri": "test://watched-resource",
        "name": "Watched",
        "description": "Can be watched",
        "mimeType": "text/plain",
        "read": lambda: "Watched resource content.",
    },
    {
        "uri": "test://template/{id}/data",
        "name": "Template",
        "description": "A family of resources",
        "mimeType": "application/json",
        "read": template,
    },
]


def messages(*blocks: Entry) -> Entry:
    return {"messages": [{"role": "user", "content": block} for block in blocks]}


def prompt() -> Entry:
    return messages(text("This is a simple prompt for testing."))


def prompt_with_arguments(arg1: str, arg2: str) -> Entry:
    return messages(text(f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"))


def prompt_with_resource(resourceUri: str) -> Entry:
    words = "Embedded resource content for testing."
    block = embedded(resourceUri, "text/plain", words)
    return messages(block, text("Please process the embedded resource above."))


def prompt_with_image() -> Entry:
    return messages(image(), text("Please analyze the image above."))


PROMPTS: list[Entry] = [
    {"name": name, "description": description, "read": read}
    for name, description, read in (
        ("test_simple_prompt", "A simple prompt", prompt),
        ("test_prompt_with_arguments", "A prompt with arguments", prompt_with_arguments),
        ("test_prompt_with_embedded_resource", "A prompt with a resource", prompt_with_resource),
        ("test_prompt_with_image", "A prompt with an image", prompt_with_image),
        ("test_input_required_result_prompt", "A prompt that asks", prompt_with_input),
    )
]


async def main(url: str) -> None:
    server = await connect_to_server({"server_url": url})
    print(await Service(server).register(), flush=True)
    await server.serve()


Main = Callable[[str], Awaitable[None]]

if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
