"""What the server itself promises, over real sockets."""

import gzip
import http.client
import json
import signal

import pytest

from conftest import Stage

BODY = json.dumps({"model": "openai", "stream": True, "messages": [{"role": "user", "content": "Count."}]})


@pytest.fixture
def own_stage():
    stage = Stage()
    yield stage
    stage.stop()


def connect(stage):
    return http.client.HTTPConnection(stage.url.removeprefix("http://"), timeout=20)


def ask(stage, method, path, body=None, headers=None):
    connection = connect(stage)
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    return response, response.read().decode()


def test_sigterm_lets_an_open_stream_end(own_stage):
    own_stage.providers["openai"].fail(b'{"do": "slow_tokens", "ms": 30}')
    connection = connect(own_stage)
    connection.request("POST", "/v1/chat/completions", BODY)
    response = connection.getresponse()
    first = response.read(200)
    own_stage.gateway.send_signal(signal.SIGTERM)
    text = (first + response.read()).decode()
    assert "w60" in text
    assert text.endswith("data: [DONE]\n\n")
    assert own_stage.gateway.wait(timeout=10) == 0
    with pytest.raises(OSError):
        ask(own_stage, "GET", "/readyz")


def test_a_body_over_the_limit_is_refused_in_the_callers_dialect(stage):
    connection = connect(stage)
    connection.putrequest("POST", "/v1/messages")
    connection.putheader("content-length", str(40 << 20))
    connection.endheaders()
    response = connection.getresponse()
    error = json.loads(response.read())
    assert response.status == 413
    assert (error["type"], error["error"]["type"]) == ("error", "request_too_large")


def test_compressed_bodies_are_read(stage):
    body = gzip.compress(BODY.encode())
    response, text = ask(stage, "POST", "/v1/chat/completions", body, {"content-encoding": "gzip"})
    assert response.status == 200
    assert text.endswith("data: [DONE]\n\n")
    response, text = ask(stage, "POST", "/v1/messages", b"x", {"content-encoding": "lzma"})
    assert (response.status, json.loads(text)["type"]) == (415, "error")
    assert "gzip" in json.loads(text)["error"]["message"]


def test_what_is_not_possible_is_told_in_the_callers_dialect(stage):
    response, text = ask(stage, "GET", "/v1/messages")
    assert (response.status, json.loads(text)["type"]) == (405, "error")
    response, text = ask(stage, "POST", "/v1/nonsense", "{}")
    assert response.status == 404 and "/v1/nonsense" in json.loads(text)["error"]["message"]
    response, text = ask(stage, "POST", "/v1/chat/completions", "{broken")
    assert response.status == 400 and "JSON" in json.loads(text)["error"]["message"]
    assert response.headers["x-unbroken-attempts"] == "0"
    assert response.headers["x-unbroken-request-id"]


def test_health_and_metrics_are_served(stage):
    ask(stage, "POST", "/v1/chat/completions", BODY)
    assert ask(stage, "GET", "/livez")[0].status == 200
    assert ask(stage, "GET", "/readyz")[0].status == 200
    targets = json.loads(ask(stage, "GET", "/health")[1])["targets"]
    assert "openai/m" in [target["target"] for target in targets]
    assert 'unbroken_calls_total{outcome="answered"}' in ask(stage, "GET", "/metrics")[1]
