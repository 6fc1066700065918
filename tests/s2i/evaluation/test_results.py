import copy
import json

import pytest

from datasets.cli import repository
from datasets.errors import InputError
from s2i.evaluation import results

README = repository() / "README.md"
SHIPPED = repository() / "pretrained/results.json"


def row(**more):
    return {
        "about": "a model",
        "inception_score": {"mean": 4.0, "std": 0.1},
        "fid": {"mean": 10.0, "std": 0.2},
        "kid": {"mean": 0.0123, "std": 0.001},
        "r_precision": {"mean": 30.0, "std": 1.0},
        "r_precision_held_out": {"mean": 20.0, "std": 1.0},
        "recall": {"at_1": 1.0, "at_5": 4.0, "at_10": 8.0, "mean_average_precision": 5.0},
        "colours": {"right": 61.4, "exchanged": 40.2},
        **more,
    }


@pytest.fixture
def found():
    rows = {
        "stackgan": row(inception_score={"mean": 2.0, "std": 0.1}, budget_pictures=60_000),
        "attngan": row(r_precision={"mean": 40.0, "std": 1.0}),
        "transcribe": row(word_error_rate=12.34),
        "s2i": row(fid={"mean": 5.0, "std": 0.2}),
    }
    meta = {
        "samples": 100,
        "resolution": 128,
        "seed": 0,
        "commit": "abc",
        "extractor": "an extractor",
        "command": "a command",
        "machine": "a machine",
    }
    about = {"r_precision_std": 0.5, "recall_at_1": 1.0, "recall_at_5": 4.0, "recall_at_10": 8.0}
    retrieval = {"text": {"r_precision": 20.0, **about}, "unseen_voices": {"r_precision": 15.0, **about}}
    return {"meta": meta, "rows": rows, "retrieval": retrieval}


def test_each_row_and_figure_is_in_the_table(found):
    table = results.as_markdown(found)
    for text in ("`s2i`", "`stackgan`", "4.00 ± 0.10", "12.3 ± 1.0", "60,000", "61 (40)", "12.3 |"):
        assert text in table
    lines = table.splitlines()
    assert len(lines) == 2 + 4
    assert len({line.count("|") for line in lines}) == 1


def test_columns_that_nobody_has_are_left_out(found):
    for each in found["rows"].values():
        each.pop("word_error_rate", None)
    assert "WER" not in results.as_markdown(found)


def test_a_terminal_gets_the_same_and_the_extractor(found):
    text = results.as_text(found)
    assert "stackgan" in text
    assert "an extractor" in text
    assert "|" not in text


def test_the_encoders_alone_have_a_table(found):
    table = results.retrieval_as_markdown(found)
    assert "| unseen voices | 15.0 ± 0.5 | 1.0 | 4.0 | 8.0 |" in table


def test_synthetic_birds_and_noise_are_on_the_page_where_they_were_measured(found):
    assert "Synthetic" not in results.page(found, pictures="a.jpg", curves="a.png")
    found["drawn"] = {"real": {"head": 99.0, "all": 98.0, "all_std": 0.5}, "meta": {}}
    score = {"mean": 20.0, "std": 2.0}
    found["noise"] = [{"condition": "babble", "level": 5.0, "s2i": score, "transcribe": score, "word_error_rate": 70.0}]
    found["meta"]["noise_samples"] = 10
    found["full_size"] = {"fine_detail": 3.456}
    page = results.page(found, pictures="a.jpg", curves="a.png", drawings=["a-grid.png"])
    assert "| real | 98.0 ± 0.5 | 99.0 |" in page
    assert "| babble 5 | 20.0 ± 2.0 | 20.0 ± 2.0 | 70.0 |" in page
    assert "| fine detail | 3.456 |" in page
    assert page.index("(a.jpg)") < page.index("(a.png)") < page.index("(a-grid.png)")


def test_the_readme_has_three_rows_and_their_caveat(found):
    assert results.summary(found).splitlines() == [
        "| | IS ↑ | FID ↓ | R-precision ↑, % | colours right ↑, % | trained on, pictures |",
        "|---|---|---|---|---|---|",
        "| **this model, from speech** | 4.00 ± 0.10 | 5.00 ± 0.20 | 20.0 ± 1.0 | 61 (40) |  |",
        "| AttnGAN, from written captions | 4.00 ± 0.10 | 10.00 ± 0.20 | 20.0 ± 1.0 | 61 (40) |  |",
        "| StackGAN-v2, from written captions | 2.00 ± 0.10 | 10.00 ± 0.20 | 20.0 ± 1.0 | 61 (40) | 60,000 |",
    ]
    found["rows"]["s2i_equal"] = row(fid={"mean": 15.0, "std": 0.3}, budget_pictures=60_000)
    caveat = results.summary(found).splitlines()[-1]
    assert "(60,000) it reaches an FID of 15.00 ± 0.30 and an R-precision of 20.0 ± 1.0 %" in caveat


def test_the_block_is_replaced_and_the_rest_stays():
    new = results.update(f"before\n{results.BEGIN}\nold\n{results.END}\nafter\n", "new")
    assert new == f"before\n{results.BEGIN}\n\nnew\n\n{results.END}\nafter\n"
    assert results.update(new, "new") == new
    with pytest.raises(InputError, match="no place for results"):
        results.update("nothing", "new")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"rows": {}}', '{"rows": {"s2i": 3}}', '{"rows": {"s2i": {"fid": 3}}}']
)
def test_what_is_no_results_file_is_refused(text, tmp_path):
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(InputError, match="not a results file"):
        results.read(path)


def test_a_file_comes_back(found, tmp_path):
    path = tmp_path / "results.json"
    path.write_text(json.dumps(found))
    assert results.read(path) == found


def test_readme_and_page_say_what_the_shipped_results_say():
    updated = results.updated(SHIPPED)
    assert {path.name for path in updated} == {"README.md", "results.md"}
    for path, text in updated.items():
        assert path.read_text(encoding="utf-8") == text, f"run: python -m s2i.evaluation.results {SHIPPED}"


def test_a_changed_figure_would_be_noticed():
    changed = copy.deepcopy(results.read(SHIPPED))
    changed["rows"]["s2i"]["fid"]["mean"] += 1
    assert results.summary(changed) not in README.read_text(encoding="utf-8")
    page = SHIPPED.with_suffix(".md").read_text(encoding="utf-8")
    files = {"pictures": "results.jpg", "curves": "results.png"}
    assert results.page(results.read(SHIPPED), **files) in page
    assert results.page(changed, **files) not in page


@pytest.mark.parametrize("arguments", [[], ["--help"], ["a.json", "b.json"]])
def test_the_command_wants_the_name_of_one_file(arguments):
    with pytest.raises(InputError, match="name one results file"):
        results.main(arguments)
