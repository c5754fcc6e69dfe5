"""A stream that is cut in the middle is invisible to each official SDK: text, and a tool call with its result; from every
provider dialect to every other. The SDKs' own retries are off."""

import itertools
import json

import pytest
from google.genai import types

from conftest import DIALECTS
from test_sdks import ARGUMENTS, SCHEMA, USER, WORDS, anthropic_client, gemini_client, openai_client  # noqa: F401

ASKS = [{"role": "user", "content": "Please call weather"}]
PAIRS = [f"{first}-{second}" for first, second in itertools.product(DIALECTS, DIALECTS)]


@pytest.fixture(params=PAIRS)
def pair(request):
    return request.param


class TestOpenAI:
    TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]

    def test_text(self, openai_client, pair):
        stream = openai_client.chat.completions.create(
            model=f"cut-openai-{pair}", messages=USER, stream=True, stream_options={"include_usage": True}
        )
        chunks = list(stream)
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == WORDS
        assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == ["stop"]
        assert chunks[-1].usage.completion_tokens > 0
        assert len({c.id for c in chunks}) == 1

    def test_tool_loop(self, openai_client, pair):
        model = f"cut-openai-{pair}"
        with openai_client.chat.completions.stream(model=model, messages=ASKS, tools=self.TOOLS) as stream:
            message = stream.get_final_completion().choices[0].message
        call = message.tool_calls[0]
        assert (call.function.name, json.loads(call.function.arguments)) == ("weather", ARGUMENTS)
        result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
        history = [*ASKS, message.model_dump(exclude_none=True, include={"role", "content", "tool_calls"}), result]
        with openai_client.chat.completions.stream(model=model, messages=history, tools=self.TOOLS) as stream:
            assert stream.get_final_completion().choices[0].message.content == WORDS


class TestAnthropic:
    TOOLS = [{"name": "weather", "input_schema": SCHEMA}]

    def test_text(self, anthropic_client, pair):
        with anthropic_client.messages.stream(model=f"cut-anthropic-{pair}", messages=USER, max_tokens=500) as stream:
            text = "".join(stream.text_stream)
            answer = stream.get_final_message()
        assert text == WORDS
        assert answer.stop_reason == "end_turn"
        assert answer.usage.output_tokens > 0

    def test_tool_loop(self, anthropic_client, pair):
        arguments = {"model": f"cut-anthropic-{pair}", "max_tokens": 500, "tools": self.TOOLS}
        with anthropic_client.messages.stream(messages=ASKS, **arguments) as stream:
            answer = stream.get_final_message()
        call = next(block for block in answer.content if block.type == "tool_use")
        assert (answer.stop_reason, call.name, call.input) == ("tool_use", "weather", ARGUMENTS)
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
        content = [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.input}]
        history = [*ASKS, {"role": "assistant", "content": content}, {"role": "user", "content": [result]}]
        with anthropic_client.messages.stream(messages=history, **arguments) as stream:
            assert "".join(stream.text_stream) == WORDS


class TestGemini:
    CONFIG = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[
            types.FunctionDeclaration(name="weather", parameters_json_schema=SCHEMA)
        ])],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )

    def test_text(self, gemini_client, pair):
        chunks = list(gemini_client.models.generate_content_stream(model=f"cut-gemini-{pair}", contents="Count."))
        assert "".join(chunk.text or "" for chunk in chunks) == WORDS
        assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
        assert chunks[-1].usage_metadata.candidates_token_count > 0

    def test_tool_call(self, gemini_client, pair):
        stream = gemini_client.models.generate_content_stream(
            model=f"cut-gemini-{pair}", contents="Please call weather", config=self.CONFIG
        )
        calls = [call for chunk in stream for call in chunk.function_calls or []]
        assert [(call.name, call.args) for call in calls] == [("weather", ARGUMENTS)]
