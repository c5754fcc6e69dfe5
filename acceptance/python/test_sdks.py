"""Each official Python SDK: plain, streaming, a tool call with its result, an error; against every provider dialect,
healthy and with the first target dead. The SDKs' own retries are off, so that only the gateway can save a call."""

import json

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors, types

WORDS = " ".join(f"w{n}" for n in range(1, 61))
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city"]}
ARGUMENTS = {"city": "Berlin", "days": 7}


@pytest.fixture(scope="session")
def openai_client(stage):
    return openai.OpenAI(base_url=f"{stage.url}/v1", api_key="x", max_retries=0)


@pytest.fixture(scope="session")
def anthropic_client(stage):
    return anthropic.Anthropic(base_url=stage.url, api_key="x", max_retries=0)


@pytest.fixture(scope="session")
def gemini_client(stage):
    return genai.Client(api_key="x", http_options=types.HttpOptions(base_url=stage.url))


USER = [{"role": "user", "content": "Count."}]


class TestOpenAI:
    TOOLS = [{"type": "function", "function": {"name": "weather", "description": "The weather", "parameters": SCHEMA}}]

    def test_plain(self, openai_client, route):
        answer = openai_client.chat.completions.create(model=route, messages=USER)
        assert answer.choices[0].message.content == WORDS
        assert answer.choices[0].finish_reason == "stop"
        assert answer.usage.completion_tokens == 60
        assert answer.created >= 1_700_000_000

    def test_stream(self, openai_client, route):
        stream = openai_client.chat.completions.create(
            model=route, messages=USER, stream=True, stream_options={"include_usage": True}
        )
        chunks = list(stream)
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        finishes = [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason]
        assert text == WORDS
        assert finishes == ["stop"]
        assert chunks[-1].usage.completion_tokens == 60
        assert len({c.id for c in chunks}) == 1

    def test_tool_loop(self, openai_client, route):
        messages = [{"role": "user", "content": "Please call weather"}]
        answer = openai_client.chat.completions.create(model=route, messages=messages, tools=self.TOOLS)
        message = answer.choices[0].message
        assert answer.choices[0].finish_reason == "tool_calls"
        assert message.tool_calls[0].function.name == "weather"
        assert json.loads(message.tool_calls[0].function.arguments) == ARGUMENTS
        messages += [message, {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "sunny"}]
        answer = openai_client.chat.completions.create(model=route, messages=messages, tools=self.TOOLS)
        assert answer.choices[0].message.content == WORDS

    def test_tool_stream(self, openai_client, route):
        messages = [{"role": "user", "content": "Please call weather"}]
        with openai_client.chat.completions.stream(model=route, messages=messages, tools=self.TOOLS) as stream:
            answer = stream.get_final_completion()
        call = answer.choices[0].message.tool_calls[0]
        assert (call.function.name, json.loads(call.function.arguments)) == ("weather", ARGUMENTS)

    def test_error(self, openai_client, failing):
        with pytest.raises(openai.BadRequestError) as caught:
            openai_client.chat.completions.create(model=failing, messages=USER)
        assert "temperature" in caught.value.message
        assert caught.value.type in ("invalid_request_error", "INVALID_ARGUMENT")

    def test_unknown_model(self, openai_client):
        with pytest.raises(openai.NotFoundError) as caught:
            openai_client.chat.completions.create(model="nonsense", messages=USER)
        assert "these would work" in caught.value.message

    def test_models(self, openai_client):
        assert "rescue-openai" in [model.id for model in openai_client.models.list()]


class TestResponses:
    TOOLS = [{"type": "function", "name": "weather", "description": "The weather", "parameters": SCHEMA}]

    def test_plain(self, openai_client, route):
        answer = openai_client.responses.create(model=route, input="Count.")
        assert answer.output_text == WORDS
        assert answer.status == "completed"
        assert answer.usage.output_tokens == 60
        assert answer.created_at >= 1_700_000_000

    def test_stream(self, openai_client, route):
        events = list(openai_client.responses.create(model=route, input=USER, instructions="Be brief.", stream=True))
        assert [event.sequence_number for event in events] == list(range(len(events)))
        kinds = [event.type for event in events]
        assert kinds[:2] == ["response.created", "response.in_progress"]
        assert kinds[-1] == "response.completed"
        assert sum(kind in ("response.completed", "response.incomplete", "response.failed") for kind in kinds) == 1
        assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == WORDS
        final = events[-1].response
        assert final.output_text == WORDS
        assert final.usage.output_tokens == 60
        done = [event.item for event in events if event.type == "response.output_item.done"]
        assert [item.id for item in done] == [item.id for item in final.output]

    def test_tool_loop(self, openai_client, route):
        items = [{"role": "user", "content": "Please call weather"}]
        answer = openai_client.responses.create(model=route, input=items, tools=self.TOOLS, store=False)
        call = next(item for item in answer.output if item.type == "function_call")
        assert (call.name, json.loads(call.arguments)) == ("weather", ARGUMENTS)
        items += [item.to_dict() for item in answer.output]
        items += [{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}]
        answer = openai_client.responses.create(model=route, input=items, tools=self.TOOLS, store=False)
        assert answer.output_text == WORDS

    def test_tool_stream(self, openai_client, route):
        with openai_client.responses.stream(model=route, input="Please call weather", tools=self.TOOLS) as stream:
            answer = stream.get_final_response()
        call = next(item for item in answer.output if item.type == "function_call")
        assert (call.name, json.loads(call.arguments)) == ("weather", ARGUMENTS)

    def test_error(self, openai_client, failing):
        with pytest.raises(openai.BadRequestError) as caught:
            openai_client.responses.create(model=failing, input="Count.")
        assert "temperature" in caught.value.message

    def test_what_only_its_provider_has_is_refused(self, openai_client):
        with pytest.raises(openai.BadRequestError) as caught:
            openai_client.responses.create(model="anthropic", input="Go on.", previous_response_id="resp_1")
        assert "previous_response_id" in caught.value.message


class TestAnthropic:
    TOOLS = [{"name": "weather", "description": "The weather", "input_schema": SCHEMA}]

    def test_plain(self, anthropic_client, route):
        answer = anthropic_client.messages.create(model=route, messages=USER, max_tokens=100)
        assert answer.content[0].text == WORDS
        assert answer.stop_reason == "end_turn"
        assert answer.usage.output_tokens == 60

    def test_stream(self, anthropic_client, route):
        with anthropic_client.messages.stream(model=route, messages=USER, max_tokens=100) as stream:
            text = "".join(stream.text_stream)
            answer = stream.get_final_message()
        assert text == WORDS
        assert answer.stop_reason == "end_turn"
        assert answer.usage.output_tokens == 60

    def test_tool_loop(self, anthropic_client, route):
        messages = [{"role": "user", "content": "Please call weather"}]
        arguments = {"model": route, "max_tokens": 100, "tools": self.TOOLS}
        answer = anthropic_client.messages.create(messages=messages, **arguments)
        call = next(block for block in answer.content if block.type == "tool_use")
        assert answer.stop_reason == "tool_use"
        assert (call.name, call.input) == ("weather", ARGUMENTS)
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
        messages += [{"role": "assistant", "content": answer.content}, {"role": "user", "content": [result]}]
        answer = anthropic_client.messages.create(messages=messages, **arguments)
        assert answer.content[0].text == WORDS

    def test_tool_stream(self, anthropic_client, route):
        messages = [{"role": "user", "content": "Please call weather"}]
        arguments = {"model": route, "max_tokens": 100, "tools": self.TOOLS}
        with anthropic_client.messages.stream(messages=messages, **arguments) as stream:
            answer = stream.get_final_message()
        call = next(block for block in answer.content if block.type == "tool_use")
        assert (call.name, call.input) == ("weather", ARGUMENTS)

    def test_error(self, anthropic_client, failing):
        with pytest.raises(anthropic.BadRequestError) as caught:
            anthropic_client.messages.create(model=failing, messages=USER, max_tokens=100)
        assert "temperature" in str(caught.value)
        assert caught.value.body["error"]["type"] == "invalid_request_error"

    def test_models(self, anthropic_client):
        assert "gemini" in [model.id for model in anthropic_client.models.list()]


class TestGemini:
    CONFIG = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[
            types.FunctionDeclaration(name="weather", description="The weather", parameters_json_schema=SCHEMA)
        ])],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )

    def test_plain(self, gemini_client, route):
        answer = gemini_client.models.generate_content(model=route, contents="Count.")
        assert answer.text == WORDS
        assert answer.candidates[0].finish_reason == types.FinishReason.STOP
        assert answer.usage_metadata.candidates_token_count == 60

    def test_stream(self, gemini_client, route):
        chunks = list(gemini_client.models.generate_content_stream(model=route, contents="Count."))
        assert "".join(chunk.text or "" for chunk in chunks) == WORDS
        assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
        assert chunks[-1].usage_metadata.candidates_token_count == 60

    def test_tool_loop(self, gemini_client, route):
        user = types.UserContent("Please call weather")
        answer = gemini_client.models.generate_content(model=route, contents=[user], config=self.CONFIG)
        call = answer.function_calls[0]
        assert (call.name, call.args) == ("weather", ARGUMENTS)
        result = types.Part(
            function_response=types.FunctionResponse(id=call.id, name="weather", response={"result": "sunny"})
        )
        contents = [user, answer.candidates[0].content, types.UserContent([result])]
        answer = gemini_client.models.generate_content(model=route, contents=contents, config=self.CONFIG)
        assert answer.text == WORDS

    def test_error(self, gemini_client, failing):
        with pytest.raises(errors.ClientError) as caught:
            gemini_client.models.generate_content(model=failing, contents="Count.")
        assert caught.value.code == 400
        assert "temperature" in caught.value.message

    def test_models(self, gemini_client):
        names = [model.name for model in gemini_client.models.list()]
        assert "models/anthropic" in names


class TestAside:
    """Counts of tokens and embeddings: from whoever gives them, estimated where nobody counts."""

    @pytest.mark.parametrize("route", ["openai", "rescue-openai"])
    @pytest.mark.parametrize("form", [{}, {"encoding_format": "float"}, {"encoding_format": "base64"}])
    def test_embeddings(self, openai_client, route, form):
        answer = openai_client.embeddings.create(model=route, input="a", **form)
        assert answer.data[0].embedding in ([0.5, 0.25], "AAAAPwAAgD4=")

    def test_embeddings_of_nobody(self, openai_client):
        with pytest.raises(openai.BadRequestError):
            openai_client.embeddings.create(model="anthropic", input="a")

    def test_messages(self, anthropic_client):
        count = anthropic_client.messages.count_tokens
        assert count(model="anthropic", messages=USER).input_tokens == 10
        raw = anthropic_client.messages.with_raw_response.count_tokens(model="openai", messages=USER)
        assert raw.headers["x-unbroken-token-count"] == "estimate"
        assert raw.parse().input_tokens == 2

    def test_gemini(self, gemini_client):
        assert gemini_client.models.count_tokens(model="gemini", contents="Count.").total_tokens == 10
        assert gemini_client.models.count_tokens(model="openai", contents="Count.").total_tokens == 2

    def test_responses(self, openai_client):
        assert openai_client.responses.input_tokens.count(model="openai", input="Count.").input_tokens == 10
