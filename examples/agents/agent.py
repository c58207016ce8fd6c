"""An agent that finds its tools over MCP and uses them. The framework is pydantic-ai.

    python examples/agents/agent.py --url http://127.0.0.1:9527/WORKSPACE/mcp/sample/mcp

Without a key for a model, the framework's own test model stands in: it calls every tool once, with
the example arguments of the tool's schema. With OPENAI_API_KEY or ANTHROPIC_API_KEY in the
environment a real model answers --prompt.
"""

from __future__ import annotations

import argparse
import asyncio
import os

from pydantic_ai import (
    Agent,
    AgentRunResultEvent,
    FunctionToolCallEvent,
    FunctionToolResultEvent,
)
from pydantic_ai.mcp import MCPToolset

MODELS = {
    "OPENAI_API_KEY": "openai:gpt-6-luna",
    "ANTHROPIC_API_KEY": "anthropic:claude-sonnet-5-5",
}
PROMPT = "Greet Ada, add 2 and 3, count down from 3, and say what each tool answered."


def default_model() -> str:
    """The model there is a key for, else the test model."""
    return next((model for key, model in MODELS.items() if os.environ.get(key)), "test")


async def main(url: str, model: str, prompt: str) -> None:
    agent = Agent(model, toolsets=[MCPToolset(url)])
    async with agent, agent.run_stream_events(prompt) as events:
        async for event in events:
            match event:
                case FunctionToolCallEvent(part=call):
                    print(f"call    {call.tool_name}({call.args_as_json_str()})")
                case FunctionToolResultEvent(part=answer):
                    print(f"result  {answer.tool_name} -> {answer.content}")
                case AgentRunResultEvent(result=run):
                    print(f"answer  {run.output}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", required=True, help="an MCP endpoint")
    parser.add_argument("--model", default=default_model(), help="default: %(default)s")
    parser.add_argument("--prompt", default=PROMPT)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.url, arguments.model, arguments.prompt))
