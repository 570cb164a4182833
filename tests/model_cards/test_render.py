import re
from dataclasses import replace

import pytest
import yaml
from huggingface_hub import ModelCard

import fusionrs_hf.auto  # noqa: F401 - registers the classes that the snippets load
from model_cards.clip import ClipFacts, MeanRecall, Retrieval, render_clip_card
from model_cards.facts import BaseModel, Estimate
from model_cards.vlm import FactScore, VlmFacts, render_vlm_card
from tests.made import tiny, tiny_vlm

RUN = {
    "recipe": {"learning_rate": 1e-4, "vision_pooling": "grid"},
    "bands": ["nir", "swir"],
    "ir_origins": ["sensor"],
    "seed": 3,
    "steps": 1234,
    "batch_size": 64,
    "train_rows": 5678,
    "train_seconds": 91.4,
    "hardware": "2 CPU cores",
    "parameters": 45_000_000,
    "trainable_parameters": 12_000_000,
    "versions": {"torch": "2.13.0", "transformers": "5.23.0"},
}
UNSTATED = BaseModel(name="A tower", statement="Origin unstated.", demo_only=True)
STATED = BaseModel(name="all-MiniLM-L6-v2", hub_id="sentence-transformers/all-MiniLM-L6-v2", licence="apache-2.0")
SUBSET = "held_out_region/nir"
CHANCE = {"chance": 1 / 400}, {"chance": 1 / 250}  # of image -> text and back


def retrieval(direction, recalls, interval, queries=250, controls=None, margins=None):
    recall = {**dict(zip(("R@1", "R@5", "R@10"), recalls)), "queries": queries}
    return Retrieval(SUBSET, direction, queries, recall, Estimate(*interval), controls or {}, margins or {})


@pytest.fixture
def clip() -> ClipFacts:
    grayscale = {"grayscale": 0.231}, {"grayscale": Estimate(0.381, 0.3, 0.45)}
    return ClipFacts(
        model_id="someone/fusionrs-clip-demo",
        dataset_id="someone/fusionrs-demo",
        dataset_name="FusionRS demo",
        base_models=[STATED],
        projection_dim=256,
        image_size=84,
        vision_pooling="grid",
        retrieval=[
            retrieval("rgb_to_ir", (0.612, 0.801, 0.9), (0.612, 0.55, 0.67), 250, *grayscale),
            retrieval("rgb_to_ir_hard", (0.5, 0.7, 0.8), (0.5, 0.44, 0.56)),
            retrieval("rgb_to_text/scene", (0.1, 0.2, 0.3), (0.1, 0.07, 0.14), 250, CHANCE[0]),
            retrieval("text_to_rgb/scene", (0.11, 0.21, 0.31), (0.11, 0.08, 0.15), 400, CHANCE[1]),
            retrieval("fused_to_text/scene", (0.2, 0.3, 0.4), (0.2, 0.1, 0.3), 250, CHANCE[0]),
            retrieval("text_to_fused/scene", (0.21, 0.31, 0.41), (0.21, 0.2, 0.22), 400, CHANCE[1]),
        ],
        mean_recall=[
            MeanRecall(SUBSET, "rgb_ir", Estimate(0.77, 0.7, 0.84)),
            MeanRecall(SUBSET, "scene", Estimate(0.5, 0.45, 0.55)),
        ],
        control_source="the committed bench result",
        **RUN,
    )


@pytest.fixture
def vlm() -> VlmFacts:
    scores = [
        FactScore("level", Estimate(0.79, 0.7, 0.86), {"constant caption": Estimate(0.1)}),
        FactScore(
            "mean",
            Estimate(0.58, 0.53, 0.63),
            {"constant caption": Estimate(0.23), "shuffled images": Estimate(0.32)},
            {"shuffled images": Estimate(0.26, 0.2, 0.32)},
        ),
    ]
    return VlmFacts(
        model_id="someone/fusionrs-vlm-demo",
        base_models=[STATED],
        prompt='Say "what" the infrared shows.',
        tokens_per_image=9,
        language_layers=12,
        scored_pairs=187,
        scores=scores,
        examples=[("Infrared: bright | low contrast.", "Infrared: dark,\nhigh contrast.")],
        **RUN,
    )


def snippets(card: ModelCard) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", card.text, flags=re.DOTALL | re.MULTILINE)


def table_rows(text: str) -> list[list[str]]:
    return [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("|")]


def test_results_table_holds_the_figures_of_the_metrics_file_with_controls_and_intervals(clip):
    rows = {
        cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in table_rows(render_clip_card(clip).text)
    }
    assert rows["direction"] == [
        "queries", "R@1", "R@5", "R@10", "(a) towers as loaded", "(b) trained on grayscale for IR",
    ]  # fmt: skip
    assert rows["RGB → IR"] == [
        "250", "61.2 [55.0, 67.0]", "80.1", "90.0", "not run", "23.1 (+38.1 [+30.0, +45.0])",
    ]  # fmt: skip
    assert rows["RGB → IR, hard gallery"][1] == "50.0 [44.0, 56.0]"
    assert rows["RGB → text, scene captions"][4] == "chance 0.2"  # of 400 texts
    assert rows["text → RGB, scene captions"][4] == "chance 0.4"  # of 250 images
    assert rows["RGB + IR → text, scene captions"] == [
        "250", "20.0 [10.0, 30.0]", "30.0", "40.0", "chance 0.2", "not run",
    ]  # fmt: skip
    assert rows["text → RGB + IR, scene captions"][4] == "chance 0.4"


def test_mean_recall_is_a_table_of_its_own_and_in_the_model_index(clip):
    card = render_clip_card(replace(clip, scored_fusion="the mean"))
    rows = {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in table_rows(card.text)}
    assert rows["mean recall"] == ["scene captions", "RGB ↔ IR alone"]
    assert rows["Held-out region, near infrared"] == ["50.0 [45.0, 55.0]", "77.0 [70.0, 84.0]"]
    assert "In the tables RGB + IR is the mean." in card.text
    named = {result.metric_name: result.metric_value for result in card.data.eval_results}
    assert named["Mean recall, scene captions"] == 50.0 and named["Mean recall, RGB ↔ IR alone"] == 77.0
    assert "mean recall" not in render_clip_card(replace(clip, mean_recall=[])).text.lower()


def test_the_model_s_options_are_a_table(clip):
    options = {"infrared_tower": "its own, 1 channel", "fusion": "a learned gate", "contrastive_loss": "sigmoid"}
    options |= {"weights": {"RGB-text": 1.0, "fused-text": 0.5}, "group_aware": False, "text_tokens": 248}
    text = render_clip_card(replace(clip, **options)).text
    rows = {cells[0].strip(): cells[1].strip() for cells in table_rows(text.partition("## Model")[2])}
    assert rows["infrared tower"] == "its own, 1 channel" and rows["fusion of a pair"] == "a learned gate"
    assert rows["loss"] == "weighted mean of sigmoid terms: RGB-text, fused-text by 0.5"
    assert rows["negatives"] == "all other rows" and "A text has at most 248 tokens." in text


def test_model_index_repeats_the_table_and_names_the_part_of_the_data(clip):
    result = render_clip_card(clip).data.eval_results[0]
    assert (result.metric_name, result.metric_value) == ("RGB → IR R@1", 61.2)
    assert result.dataset_type == "someone/fusionrs-demo"
    assert result.dataset_name == "FusionRS demo, held-out region, near infrared"


def test_front_matter_survives_a_round_trip_through_a_file(clip, vlm, tmp_path):
    for card, task in ((render_clip_card(clip), "feature-extraction"), (render_vlm_card(vlm), "image-text-to-text")):
        card.save(tmp_path / "README.md")
        data = ModelCard.load(tmp_path / "README.md").data
        assert data.to_dict() == card.data.to_dict()
        assert (data.pipeline_tag, data.library_name, data.license) == (task, "transformers", "apache-2.0")
        assert {"remote-sensing", "infrared"} <= set(data.tags)
        assert data.base_model == ["sentence-transformers/all-MiniLM-L6-v2"]
        assert len(data.eval_results) > 0


def test_a_demo_only_base_model_marks_the_card_and_withdraws_the_licence(clip):
    card = render_clip_card(replace(clip, base_models=[UNSTATED, STATED]))
    data = card.data.to_dict()
    assert (data["demo_only"], data["license"], data["license_name"]) == (True, "other", "demo-only")
    assert "**Demo only, not to be published.**" in card.text and "A tower: Origin unstated." in card.text
    free = render_clip_card(clip)
    assert "demo_only" not in free.data.to_dict() and "Demo only" not in free.text


def test_both_cards_say_whose_work_this_is(clip, vlm):
    for card in (render_clip_card(clip), render_vlm_card(vlm)):
        assert "independent implementation of arXiv 2606.17020" in card.text
        assert "arXiv:2606.17020" in card.text and "@software{fusionrs_hf" in card.text


def test_infrared_style_is_spoken_of_only_where_translated_infrared_was_used(vlm):
    assert "infrared-style" not in render_vlm_card(vlm).text
    assert "*infrared-style*" in render_vlm_card(replace(vlm, ir_origins=["sensor", "translated"])).text


def test_fact_table_shows_each_control_and_the_paired_lead(vlm):
    rows = {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in table_rows(render_vlm_card(vlm).text)}
    assert rows["fact"] == ["this model", "constant caption", "shuffled images"]
    assert rows["level"] == ["79.0 [70.0, 86.0]", "10.0", "not run"]
    assert rows["mean"] == ["58.0 [53.0, 63.0]", "23.0", "32.0 (+26.0 [+20.0, +32.0])"]


def test_tables_keep_their_columns_whatever_a_caption_holds(vlm):
    text = render_vlm_card(vlm).text
    assert [" Infrared: bright \\| low contrast. ", " Infrared: dark, high contrast. "] in table_rows(text)
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        assert len({len(cells) for cells in table_rows(block)}) == 1


def test_blocks_are_set_apart_by_one_blank_line_and_no_template_syntax_are_left(clip, vlm):
    for card in (
        render_clip_card(clip),
        render_clip_card(replace(clip, dataset_id=None, control_source="", base_models=[UNSTATED])),
        render_vlm_card(vlm),
        render_vlm_card(replace(vlm, adapter_base="someone/base", examples=[])),
    ):
        assert "\n\n\n" not in card.text and " \n" not in card.text
        assert not re.search(r"[^\n]\n(#|```(?:python|yaml|bibtex))", card.text)  # nothing glued to a heading or fence
        assert not re.search(r"\n```\n[^\n]", card.text)
        assert "{%" not in card.text and "{{ " not in card.text
        assert len(re.findall(r"^```", card.text, flags=re.MULTILINE)) % 2 == 0


def test_a_vlm_that_was_shown_one_image_says_so_and_is_used_so(vlm):
    both, one = render_vlm_card(vlm).text, render_vlm_card(replace(vlm, shown=("rgb",))).text
    assert '"image": ir}' in both and "Training showed" not in both
    assert '"image": ir}' not in one and "ir.png" not in one and "- Training showed it RGB alone." in one


def test_every_snippet_compiles(clip, vlm):
    for facts, render, count in ((clip, render_clip_card, 2), (vlm, render_vlm_card, 1)):
        codes = snippets(render(facts))
        assert len(codes) == count
        for code in codes:
            compile(code, "snippet", "exec")
    adapter = snippets(render_vlm_card(replace(vlm, adapter_base="someone/base")))[0]
    compile(adapter, "snippet", "exec")
    assert 'PeftModel.from_pretrained(base, "someone/fusionrs-vlm-demo")' in adapter


def test_an_adapter_card_names_its_base(vlm):
    data = render_vlm_card(replace(vlm, adapter_base="someone/base")).data
    assert (data.library_name, data.base_model) == ("peft", "someone/base")


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """A working directory that holds the two pictures the snippets open."""
    monkeypatch.chdir(tmp_path)
    tiny.rgb_image().save("rgb.png")
    tiny.ir_image().save("ir.png")
    return tmp_path


def test_the_clip_snippet_runs_as_printed(clip, pictures, capsys):
    tiny.clip_model().save_pretrained("clip")
    tiny.clip_processor().save_pretrained("clip")
    exec(snippets(render_clip_card(replace(clip, model_id="clip")))[0], {})
    assert capsys.readouterr().out.count("tensor(") == 3


def test_the_vlm_snippet_runs_as_printed(vlm, pictures, capsys):
    tiny_vlm.vlm_model().save_pretrained("vlm")
    tiny_vlm.vlm_processor().save_pretrained("vlm")
    names = {}
    exec(snippets(render_vlm_card(replace(vlm, model_id="vlm", prompt="Describe the infrared image .")))[0], names)
    prompt_tokens = names["inputs"]["input_ids"].shape[1]
    assert (names["output"][0, :prompt_tokens] == names["inputs"]["input_ids"][0]).all()
    assert capsys.readouterr().out.endswith("\n") and names["output"].shape[1] > prompt_tokens


def test_before_an_evaluation_the_card_says_so_instead_of_showing_an_empty_table(clip, vlm):
    empty = replace(clip, retrieval=[], mean_recall=[]), replace(vlm, scores=[])
    for card in (render_clip_card(empty[0]), render_vlm_card(empty[1])):
        results = card.text.partition("## Results")[2].partition("\n## ")[0]
        assert results.strip() == "Not evaluated yet."
        assert card.data.eval_results is None


def test_recipe_is_printed_as_yaml_that_reads_back(clip):
    block = re.search(r"^```yaml\n(.*?)^```$", render_clip_card(clip).text, flags=re.DOTALL | re.MULTILINE)[1]
    assert yaml.safe_load(block) == RUN["recipe"]
