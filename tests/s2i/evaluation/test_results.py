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


def test_synthetic_birds_are_in_the_block_where_they_were_measured(found):
    assert "drawn" not in results.block(found)
    found["drawn"] = {"real": {"head": 99.0, "all": 98.0, "all_std": 0.5}, "meta": {}}
    assert "| real | 98.0 ± 0.5 | 99.0 |" in results.block(found)


def test_the_block_is_replaced_and_the_rest_stays(found):
    readme = f"before\n{results.BEGIN}\nold\n{results.END}\nafter\n"
    new = results.update(readme, found)
    assert new.startswith("before\n")
    assert new.endswith("\nafter\n")
    assert "old" not in new
    assert results.update(new, found) == new
    with pytest.raises(InputError, match="no place for results"):
        results.update("nothing", found)


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


def test_the_readme_says_what_the_shipped_results_say():
    text = README.read_text(encoding="utf-8")
    assert results.update(text, results.read(SHIPPED)) == text, "run: python -m s2i.evaluation.results"


def test_a_changed_figure_would_be_noticed():
    text, found = README.read_text(encoding="utf-8"), results.read(SHIPPED)
    changed = copy.deepcopy(found)
    changed["rows"]["s2i"]["fid"]["mean"] += 1
    assert results.update(text, changed) != text
