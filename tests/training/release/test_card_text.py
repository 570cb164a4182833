from training.release.card_text import loaded_names, local, pinned, python_blocks

CARD = """# Card

```python
from transformers import AutoModel

model = AutoModel.from_pretrained("runs/clip", trust_remote_code=True).eval()
plain = CLIPModel.from_pretrained(".")
rows = load_dataset("someone/rows", split="test")
```

```bibtex
load_dataset("x")
```
"""


def test_snippets_name_the_repository_and_pin_code_and_weights():
    text = pinned(CARD, "clip", "me/clip", "v1")
    assert 'AutoModel.from_pretrained("me/clip", revision="v1", code_revision="v1", trust_remote_code=True)' in text
    assert 'CLIPModel.from_pretrained("me/clip", revision="v1")' in text
    assert 'load_dataset("someone/rows", split="test")' in text
    assert pinned(text, "clip", "me/clip", "v1") == text
    assert 'revision="v2", code_revision="v2"' in pinned(text, "clip", "me/clip", "v2")


def test_an_adapter_s_base_keeps_its_name_and_gets_its_own_commit():
    code = 'base = AutoModel.from_pretrained("me/base", trust_remote_code=True)\n'
    code += 'model = PeftModel.from_pretrained(base, "runs/vlm/adapter")\n'
    text = pinned(f"```python\n{code}```\n", "vlm", "me/adapter", "v1", {"me/base": "abc"})
    assert 'from_pretrained("me/base", revision="abc", code_revision="abc", trust_remote_code=True)' in text
    assert 'PeftModel.from_pretrained(base, "me/adapter", revision="v1")' in text


def test_a_dataset_s_snippets_pin_every_view():
    text = pinned(
        '```python\nload_dataset("path/to/this/repository", "captions")\n```\n', "dataset", "me/rows", "v1.0.0"
    )
    assert 'load_dataset("me/rows", revision="v1.0.0", "captions")' not in text
    assert 'load_dataset("me/rows", "captions", revision="v1.0.0")' in text


def test_blocks_come_with_the_line_they_begin_at():
    assert [line for line, _ in python_blocks(CARD)] == [4]
    assert loaded_names(CARD) == {"runs/clip", ".", "someone/rows"}
    assert local('AutoModel.from_pretrained("a/b", revision="v1", x=1)', {"a/b": "/here"}) == (
        'AutoModel.from_pretrained("/here", x=1)'
    )
