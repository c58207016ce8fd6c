"""The client of the conformance suite that is the gateway: the server is added to a gateway that
runs already, an administrator logs in where that is asked for, and everything is called that the
server offers. Argument: URL of the server; the suite and the test say the rest in the environment.

Imports little: there is one of these for each scenario.
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

GATEWAY = os.environ["POLYPORT_SERVER"]
TOKEN = os.environ["POLYPORT_TOKEN"]
SCENARIO = os.environ["MCP_CONFORMANCE_SCENARIO"]
VERSION = os.environ["MCP_CONFORMANCE_PROTOCOL_VERSION"]
CONTEXT = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}"))
NAME = f"{SCENARIO}-{VERSION}".replace("/", "-")
PUBLISHED = "https://conformance-test.local/client-metadata.json"
SAMPLES = {"integer": 5, "number": 5, "boolean": True, "array": [], "object": {}}
ASKING = 202
MAX_STEPS = 8
WAIT_SECONDS = 60.0


class Refused(Exception):
    """The gateway has answered with an error."""


def call(service: str, function: str, arguments: dict[str, Any]) -> Any:
    """Call a function of the gateway, and answer what it asks."""
    path = "/".join(urllib.parse.quote(part, safe="") for part in (service, function))
    status, answer = post(f"{GATEWAY}/public/services/{path}", arguments)
    while status == ASKING:
        accepted = {key: accept(each["params"]) for key, each in answer["requests"].items()}
        status, answer = post(answer["url"], accepted)
    return answer


def post(url: str, body: Any) -> tuple[int, Any]:
    request = urllib.request.Request(
        url,
        json.dumps(body).encode(),
        {"content-type": "application/json", "authorization": f"Bearer {TOKEN}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=WAIT_SECONDS) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        text = error.read().decode()
        print(f"{url}: {error.code} {text}")
        raise Refused(text) from None


def accept(params: dict[str, Any]) -> dict[str, Any]:
    """What a user says who leaves a form as it is, and fills in what has to be."""
    schema = params.get("requestedSchema", {})
    content = {}
    for name, each in schema.get("properties", {}).items():
        if "default" in each or name in schema.get("required", ()):
            content[name] = each.get("default", SAMPLES.get(each.get("type"), "x"))
    return {"action": "accept", "content": content}


def entry(url: str) -> dict[str, Any]:
    """The server as somebody would write it into their configuration."""
    oauth: dict[str, Any] = {"clientMetadataUrl": PUBLISHED}
    names = {"client_id": "clientId", "client_secret": "clientSecret", "issuer": "issuer"}
    names |= {"private_key_pem": "privateKey", "signing_algorithm": "signingAlgorithm"}
    oauth |= {names[key]: value for key, value in CONTEXT.items() if key in names}
    if "client-credentials" in SCENARIO:
        oauth["grant"] = "client_credentials"
    if "valid_jwt" in CONTEXT:
        oauth |= {"grant": "jwt-bearer", "assertion": CONTEXT["valid_jwt"]}
    if "idp_id_token" in CONTEXT:
        provider = {
            "tokenEndpoint": CONTEXT["idp_token_endpoint"],
            "clientId": CONTEXT["idp_client_id"],
        }
        oauth |= {"grant": "jwt-bearer", "assertion": CONTEXT["idp_id_token"]}
        oauth["identityProvider"] = provider
    return {"url": url, "oauth": oauth}


def log_in(record: dict[str, Any]) -> None:
    """Open the address in what stands for a browser, which comes back to the gateway. Exits if the
    gateway does not take what it brings."""
    try:
        with urllib.request.urlopen(record["login_url"], timeout=WAIT_SECONDS) as page:
            page.read()
    except urllib.error.HTTPError as error:
        print(f"The login failed: {error.code} {error.read().decode()[-300:]}")
        sys.exit(1)


def settled() -> dict[str, Any]:
    """The server's status, when that is more than a passing one. Exits if it cannot be had."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        record: dict[str, Any] = call("mcp-servers", "status", {"name": NAME})
        if record["state"] == "running" or "login_url" in record:
            return record
        if record["failures"]:
            break
        time.sleep(0.02)  # the status is asked for over HTTP, where nothing tells of its change
    print(f"It does not run: {record}")
    sys.exit(1)


def sample(schema: dict[str, Any], first: dict[str, Any]) -> dict[str, Any]:
    """Arguments for a tool; one that wants a ``schema`` gets that of the first tool back."""
    return {
        name: first if name == "schema" else SAMPLES.get(each.get("type"), "x")
        for name, each in schema.get("properties", {}).items()
    }


def schemas() -> dict[str, dict[str, Any]]:
    """Parameters of the tools, by their names here."""
    request = urllib.request.Request(
        f"{GATEWAY}/public/services/{NAME}", headers={"authorization": f"Bearer {TOKEN}"}
    )
    with urllib.request.urlopen(request, timeout=WAIT_SECONDS) as answer:
        found = json.load(answer)["service_schema"]
    return {name: each["function"].get("parameters", {}) for name, each in found.items()}


def wanted(known: dict[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """The calls that the suite wants; without that, one of each tool."""
    if "toolCalls" in CONTEXT:
        return [(each["name"], each.get("arguments", {})) for each in CONTEXT["toolCalls"]]
    first = next(iter(known.values()), {})
    return [(name, sample(schema, first)) for name, schema in known.items()]


def use() -> None:
    """Call what is to be called, and log in as often as that is needed."""
    done = 0
    for _ in range(MAX_STEPS):
        record = settled()
        if "login_url" in record:
            log_in(record)
            continue
        calls = wanted(schemas())
        try:
            while done < len(calls):
                call(NAME, *calls[done])
                done += 1
            return
        except Refused:
            continue
    sys.exit(1)


call("mcp-servers", "add", {"name": NAME, "config": entry(sys.argv[-1])})
try:
    use()
finally:
    call("mcp-servers", "remove", {"name": NAME})
