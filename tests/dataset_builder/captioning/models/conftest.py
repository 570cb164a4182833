import huggingface_hub.constants
import pytest


@pytest.fixture
def online(monkeypatch):
    """Lets the Hub's client ask loopback servers: the test session is offline otherwise."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
