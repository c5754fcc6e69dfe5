"""The stage: one fake provider per dialect, and the gateway in front of them."""

import itertools
import os
import re
import subprocess
import tempfile
import time
import urllib.request

import pytest

BIN = os.environ["UNBROKEN_BIN"]
DIALECTS = {
    "openai": ("openai-chat", "/v1"),
    "responses": ("openai-responses", "/v1"),
    "anthropic": ("anthropic-messages", ""),
    "gemini": ("gemini", ""),
}


def start(arguments, pattern, stream):
    process = subprocess.Popen([BIN, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    pipe = process.stdout if stream == "stdout" else process.stderr
    deadline = time.time() + 20
    while time.time() < deadline:
        found = re.search(pattern, pipe.readline())
        if found:
            return process, found.group(0)
    process.kill()
    raise RuntimeError(f"{arguments} did not start")


class Provider:
    def __init__(self):
        self.process, self.url = start(["fake-provider"], r"http://[0-9.:]+", "stdout")

    def command(self, method, path, body=None):
        request = urllib.request.Request(self.url + path, data=body, method=method)
        with urllib.request.urlopen(request, timeout=5) as response:
            return response.read()

    def fail(self, fault):
        self.command("PUT", "/fake/fault", b'{"model": "*", "fault": %s}' % fault)

    def cut(self, model):
        fault = b'{"do": "cut_stream", "after_words": 4}'
        self.command("PUT", "/fake/fault", b'{"model": "%s", "fault": %s}' % (model.encode(), fault))

    def heal(self):
        # What is set for all models ends; cuts are of a model each, and stay.
        self.command("PUT", "/fake/fault", b'{"model": "*", "fault": {"do": "invalid_request"}, "times": 0}')


class Stage:
    """Routes are named after who answers: `openai`, `anthropic`, `gemini`, and `rescue-NAME`, whose first target is
    dead and whose second is NAME; `cut-CLIENT-FIRST-SECOND`, whose first target's streams are always cut."""

    def __init__(self):
        self.providers = {name: Provider() for name in DIALECTS}
        self.dead = Provider()
        self.dead.fail(b'{"do": "refuse"}')
        config = 'listen = "127.0.0.1:0"\n[health]\nenabled = false\n'
        for name, (dialect, path) in DIALECTS.items():
            url = self.providers[name].url + path
            config += f'[[provider]]\nname = "{name}"\ndialect = "{dialect}"\nbase_url = "{url}"\nkey = "k"\n'
        config += f'[[provider]]\nname = "dead"\ndialect = "openai-chat"\nbase_url = "{self.dead.url}/v1"\nkey = "k"\n'
        for name in DIALECTS:
            config += f'[[route]]\nname = "{name}"\ntargets = ["{name}/m"]\n'
            config += f'[[route]]\nname = "rescue-{name}"\ntargets = ["dead/m", "{name}/m"]\n'
        for client, first, second in itertools.product(("openai", "anthropic", "gemini"), DIALECTS, DIALECTS):
            model = f"cut-{client}-{second}"
            self.providers[first].cut(model)
            config += f'[[route]]\nname = "cut-{client}-{first}-{second}"\n'
            config += f'targets = ["{first}/{model}", "{second}/m"]\n'
        self.folder = tempfile.TemporaryDirectory()
        file = os.path.join(self.folder.name, "unbroken.toml")
        with open(file, "w") as out:
            out.write(config)
        self.gateway, self.url = start(["serve", "--config", file], r"http://[0-9.:]+", "stderr")
        # Nobody reads the log: it must not fill its pipe.
        import threading

        threading.Thread(target=self.gateway.stderr.read, daemon=True).start()

    def stop(self):
        for process in [self.gateway, self.dead.process, *(p.process for p in self.providers.values())]:
            process.terminate()
            process.wait(timeout=10)
        self.folder.cleanup()


@pytest.fixture(scope="session")
def stage():
    stage = Stage()
    yield stage
    stage.stop()


@pytest.fixture(params=[f"{health}{name}" for name in DIALECTS for health in ("", "rescue-")])
def route(request):
    return request.param


@pytest.fixture
def failing(stage, route):
    """The provider that answers on this route refuses the client's own request."""
    provider = stage.providers[route.removeprefix("rescue-")]
    provider.fail(b'{"do": "invalid_request"}')
    yield route
    provider.heal()
