"""Bytes, folders and scales of the samples, and the files of `data/raw`."""

import io
import json
from pathlib import Path

import pandas as pd
import pytest

from cli.sample import main
from quintet.domains import DATASETS, DOMAINS
from quintet.ingest.contract import fold_header
from quintet.lending.inbox import INBOX
from quintet.samples.sample import SampleFile
from quintet.samples.write import (
    TruthInInboxError,
    file_bytes,
    make_samples,
    truth_folder_of,
    worlds_at,
    write_truth,
)

GENERATORS = {domain.name: domain.samples for domain in DOMAINS}
SMALL = ("--scale", "0.1", "--seed", "7")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    inboxes = tmp_path_factory.mktemp("samples") / "inboxes"
    assert main([*SMALL, "--to", str(inboxes)]) == 0
    return inboxes


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.csv")}


def _as_text(path: Path, dataset: str) -> pd.DataFrame:
    delimiter = ";" if dataset in ("conversions", "page_categories") else ","
    rows = pd.read_csv(path, sep=delimiter, dtype="str", keep_default_na=False, na_values=[""])
    aliases = DATASETS[dataset].aliases
    return rows.rename(columns=lambda name: aliases[fold_header(name)])


def test_the_files_of_data_raw_are_what_the_command_writes(written: Path, project: Path):
    assert _contents(project / "data" / "raw") == _contents(written)


def test_another_seed_writes_other_bytes(written: Path, tmp_path: Path):
    main(["--scale", "0.1", "--seed", "8", "--to", str(tmp_path / "inboxes")])
    other, usual = _contents(tmp_path / "inboxes"), _contents(written)

    assert other.keys() == usual.keys()
    differing = {name for name in usual if usual[name] != other[name]}
    assert differing == usual.keys() - {"page_categories/page_categories.csv"}


def test_every_dataset_has_a_file(written: Path):
    assert {path.name for path in written.iterdir()} == {*DATASETS, INBOX}


@pytest.mark.parametrize("dataset", sorted(DATASETS))
def test_every_row_keeps_its_contract(written: Path, dataset: str):
    for path in sorted((written / dataset).iterdir()):
        rows = _as_text(path, dataset)
        schema = DATASETS[dataset].schema
        absent = [name for name, column in schema.columns.items() if not column.required and name not in rows]
        schema.remove_columns(absent).validate(rows, lazy=True)


def test_the_committed_files_take_a_few_megabytes(written: Path):
    assert sum(map(len, _contents(written).values())) < 3_000_000


def test_the_truth_lies_beside_the_inboxes_and_not_within(written: Path):
    truth = truth_folder_of(written)

    assert truth == written.with_name("inboxes-truth")
    assert {path.stem for path in truth.iterdir()} == {
        *("broker_rows", "broker_clocks", "promo_users", "transactions", "transaction_days", "checkout_sales"),
        *("loan_default_risk", "parameters"),
    }
    assert json.loads((truth / "parameters.json").read_text("utf-8"))["seed"] == 7


@pytest.mark.parametrize("within", ["", "truth", "promo_users/truth"])
def test_a_truth_within_the_inboxes_is_refused_and_nothing_written(tmp_path: Path, within: str):
    inboxes = tmp_path / "inboxes"

    with pytest.raises(SystemExit) as refusal:
        main([*SMALL, "--to", str(inboxes), "--truth", str(inboxes / within)])
    assert refusal.value.code == 2
    with pytest.raises(TruthInInboxError, match="choose one outside"):
        write_truth((), {}, inboxes / within, inboxes)
    assert not inboxes.exists()


def test_the_folder_of_the_truth_can_be_chosen(tmp_path: Path):
    main([*SMALL, "--to", str(tmp_path / "a"), "--truth", str(tmp_path / "b")])

    assert (tmp_path / "b" / "broker_rows.csv").exists()
    assert not (tmp_path / "a-truth").exists()


def test_the_command_prints_what_it_wrote_and_what_to_do_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    main([*SMALL, "--to", str(tmp_path / "inboxes")])
    said = capsys.readouterr().out

    assert "1,500 rows" in said
    assert said.endswith(f"next: QUINTET_RAW={tmp_path / 'inboxes'} make run\n")


@pytest.mark.parametrize("arguments", [["--scale", "0"], ["--scale", "nan"], ["--scale", "x"], ["--seed", "-1"]])
def test_a_scale_or_seed_that_makes_no_sense_is_refused(tmp_path: Path, arguments: list[str]):
    with pytest.raises(SystemExit) as refusal:
        main([*arguments, "--to", str(tmp_path / "inboxes")])
    assert refusal.value.code == 2
    assert not (tmp_path / "inboxes").exists()


def test_a_scale_of_one_is_the_size_of_the_public_datasets():
    worlds = {name: one.world for name, one in worlds_at(1, GENERATORS).items()}

    assert worlds["insurance"].agencies == 83
    assert worlds["promotions"].users == 8_998
    assert worlds["conversions"].site.conversions == 102_365
    assert worlds["payments"].days == 2
    assert not worlds["payments"].last_file_is_dated


def test_larger_scales_have_more_of_everything_and_the_later_edition():
    worlds = {name: one.world for name, one in worlds_at(3, GENERATORS).items()}

    assert worlds["insurance"].agencies == 249
    assert worlds["conversions"].site.conversions == 307_095
    assert worlds["payments"].days == 6
    assert worlds["payments"].last_file_is_dated


def test_a_scale_of_nothing_is_refused():
    with pytest.raises(ValueError, match="above 0"):
        worlds_at(0, GENERATORS)


def test_broker_rows_of_a_scale_of_one_are_about_as_many_as_the_real_ones():
    files = {file.dataset: file for sample in make_samples(worlds_at(1, GENERATORS), 7) for file in sample.files}

    assert len(files["broker_rows"].rows) == pytest.approx(61_840, rel=0.03)


def test_line_ends_delimiters_and_quotes_are_the_source_s():
    rows = pd.DataFrame({"a": ["x;y", 'say "hi"', None], "b": [1, 2, 3]})

    assert file_bytes(SampleFile("d", "f", rows)) == b'a,b\nx;y,1\n"say ""hi""",2\n,3\n'
    crlf = SampleFile("d", "f", rows, delimiter=";", line_end="\r\n", ends_with_line_end=False)
    assert file_bytes(crlf) == b'a;b\r\n"x;y";1\r\n"say ""hi""";2\r\n;3'


def test_payloads_survive_the_way_to_the_file_and_back(written: Path):
    content = (written / "conversions" / "conversions.csv").read_bytes()
    rows = pd.read_csv(io.BytesIO(content), sep=";", dtype="str")

    assert rows["id"].str.fullmatch(r"\d{7}").all()
    assert rows["ui_element"].str.contains(";", regex=False).any()
