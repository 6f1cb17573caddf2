"""Plans beside what is then done: forms, shapes, disk, memory, what is there, what is refused."""

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from himalaya.scoring import r2_score

from base import read_json
from base.command_line.parser import run as command
from cache import FeatureStore
from challenge import HEMISPHERES, find_subjects
from execute.forecast.cost import Cost
from execute.forecast.measure import measure_process
from execute.forecast.rates import Rates, planned_costs
from extract.cost import plan_space
from extract.layer_listing import describe, sketch
from plan.__main__ import plan
from plan.errors import PlanError
from plan.forecast import find_limits
from plan.stages import format_bytes, format_time
from regress.commands.fit import fit
from regress.commands.fit import fit as regress
from regress.cost import ablate_costs, fit_costs
from regress.fit_options import FitOptions
from regress.fitting.request_checks import make_request
from regress.fitting.unit_sizes import list_parts
from regress.solvers.arguments import Splits
from regress.solvers.dual import Dual
from regress.solvers.forms import MEMORY, RidgeSize
from regress.solvers.primal import Primal
from tests.builders.paths import ROOT
from tests.builders.planned_work import hold, plan_ridge, run_regress
from tests.builders.rates import write_rates, write_space


@pytest.fixture
def out(simulated: Path, tmp_path: Path) -> Path:
    """Give a folder with rates and two spaces."""
    write_rates(tmp_path)
    write_space(tmp_path, simulated, "wide", 90)
    write_space(tmp_path, simulated, "narrow", 10)
    return tmp_path


def test_costs_add() -> None:
    one, two = Cost(1.0, 10, 1, 100), Cost(2.0, 5, 4, 50)
    assert one + two == Cost(3.0, 10, 4, 150)
    assert one & two == Cost(3.0, 15, 5, 150)


@pytest.mark.parametrize(("n", "p"), [(100, 30), (100, 99), (40, 200)])
def test_the_form_and_its_batches_are_the_solvers_own(n: int, p: int) -> None:
    X = np.random.default_rng(0).standard_normal((n, p)).astype(np.float32)
    fold = np.arange(n) % 5
    splits = Splits(
        [np.flatnonzero(fold != f) for f in range(5)],
        [np.flatnonzero(fold == f) for f in range(5)],
        n,
    )
    shape = RidgeSize(n, p, 10**9, 5, (1.0,))
    form = {"primal": Primal, "dual": Dual}[shape.form]
    made = form(X, splits, True, r2_score, np.zeros(p, int))
    assert shape.form == ("dual" if p > n else "primal")
    assert shape.batch == MEMORY // made.bytes_per_vertex
    assert shape.predicts == (made.predict[0] if isinstance(made, Primal) else True)


def test_a_fit_is_planned_by_its_files_and_costs_nothing_once_it_is_there(
    simulated: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rates = Rates(out / "rates")
    asked = make_request(FitOptions(simulated, out, model="ridge", spaces=["wide", "narrow"]))
    parts, costs = list_parts(asked), fit_costs(asked, rates)
    assert [len(own) for own in costs] == [len(own) for own in asked.units()] == [2, 2]
    folder = fit(simulated, out, model="ridge", spaces=["wide", "narrow"], device="cpu")
    assert folder == asked.folder
    subject = find_subjects(simulated)[0]
    for hemisphere, (part,), cost in zip(HEMISPHERES, parts[0], costs[0], strict=True):
        files = list((folder / "subj01").glob(f"{hemisphere}.*.h5"))
        assert part.n_rois == len(files) == len(subject.regions(hemisphere))
        assert part.n_vertices == subject.n_vertices(hemisphere)
        assert (part.n_images, part.n_features, part.bands) == (40, 100, (90, 10))
        written = sum(file.stat().st_size for file in files)
        assert cost.disk == pytest.approx(written, rel=0.3)
    assert fit_costs(asked, rates) == [[Cost(), Cost()], [Cost(), Cost()]]
    (folder / "subj02" / f"rh.{subject.regions('rh')[0].name}.h5").unlink()
    again = fit_costs(asked, rates)
    assert again[0] == [Cost(), Cost()]
    assert again[1][0] == Cost()
    assert 0 < again[1][1].disk < costs[1][1].disk / 4
    # Times of files say nothing, as `make fit` finds.
    for path in (folder / "subj01").glob("lh.*.h5"):
        os.utime(path, (0, 0))
    assert fit_costs(asked, rates) == again
    capsys.readouterr()


@pytest.mark.parametrize("model", ["ridge", "ols_pca", "stacked_ridge", "banded_ridge"])
def test_more_columns_pictures_and_weightings_take_longer(
    simulated: Path, out: Path, model: str
) -> None:
    rates = Rates(out / "rates")

    def seconds(*spaces: str, **more: object) -> float:
        asked = make_request(FitOptions(simulated, out, model=model, spaces=list(spaces), **more))
        return sum(cost.seconds for own in fit_costs(asked, rates) for cost in own)

    assert seconds("wide", "narrow") > seconds("narrow", "wide", images=10)
    assert seconds("wide") > seconds("narrow")
    if model == "banded_ridge":
        few, many = ({"params": {"n_iter": n}} for n in (5, 50))
        assert seconds("wide", "narrow", **many) > seconds("wide", "narrow", **few)


def test_a_training_is_tried_once(simulated: Path, out: Path) -> None:
    parameters = {"epochs": 3, "batch": 16, "scope": "roi"}
    options = FitOptions(simulated, out, "1", "mlp", ["narrow"], params=parameters)
    asked = make_request(replace(options, group_by="hemisphere"))
    costs = fit_costs(asked, Rates(out / "rates"))
    assert len(costs[0]) == 2
    assert all(cost.seconds > 0 and cost.memory > 300e6 for cost in costs[0])
    trials = [name for name in read_json(Rates(out / "rates").path)["rates"] if "trial" in name]
    assert len(trials) == 1
    assert fit_costs(asked, Rates(out / "rates", measures=False)) == costs
    assert planned_costs(out / "rates", partial(fit_costs, asked)) == costs
    # Weights, their gradient and two moments of each, beside what CUDA itself needs.
    assert all(cost.gpu_memory > 500 << 20 for cost in costs[0])
    other = replace(asked, settings=replace(asked.settings, seed=1))
    assert planned_costs(out / "rates", partial(fit_costs, other)) is None


def test_an_ablation_of_more_subsets_takes_longer(simulated: Path, out: Path) -> None:
    subjects, store = find_subjects(simulated), FeatureStore(out / "features")
    entries = [store.find("wide"), store.find("narrow")]
    rates = Rates(out / "rates")
    few = ablate_costs(subjects, entries, [(0, 1)], rates)
    many = ablate_costs(subjects, entries, [(0,), (1,), (0, 1)], rates)
    assert len(few) == 2
    assert all(a.seconds < b.seconds for a, b in zip(few, many, strict=True))


@pytest.mark.parametrize("space", ["alexnet", "clip_layers", "pixels:16", "clip_text"])
def test_columns_of_a_space_are_known_before_it_is_there(
    simulated: Path, tmp_path: Path, space: str
) -> None:
    planned = plan_space(space, FeatureStore(tmp_path), find_subjects(simulated), "float32")
    assert planned.missing == 1
    meta = planned.entry.meta
    if space == "clip_text":
        assert meta["columns"] == 512
        return
    lines = [line for line in describe(*sketch(space)) if line.band is not None]
    assert meta["columns"] == sum(line.columns for line in lines)
    assert meta["dtype"] == ("uint8" if space.startswith("pixels") else "float32")
    assert len(meta["bands"]) == (4 if space == "clip_layers" else 0)


def test_pictures_that_are_there_are_not_planned_again(simulated: Path, out: Path) -> None:
    subjects, store = find_subjects(simulated), FeatureStore(out / "features")
    assert plan_space("wide", store, subjects, "float32").missing == 0
    first = subjects[0].picture_digests("train")[:20]
    rows = np.zeros((20, 3), np.float32)
    with store.writer("some", {"of": "some"}, {"origin": "a test"}) as writer:
        writer.add(first, rows)
    # 20 of the 52 pictures of the first subject.
    missing = plan_space("some", store, subjects[:1], "float32").missing
    assert missing == pytest.approx(1 - 20 / 52)


def test_rates_are_measured_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rates = Rates(tmp_path)
    calls: list[int] = []

    def measure() -> dict[str, float]:
        calls.append(1)
        return {"seconds": 2.5}

    assert (
        rates.get_or_measure("work", measure)
        == Rates(tmp_path).get_or_measure("work", measure)
        == {"seconds": 2.5}
    )
    assert len(calls) == 1
    assert "measuring how fast this machine is: work" in capsys.readouterr().out
    Rates(tmp_path, recalibrate=True).get_or_measure("work", measure)
    assert len(calls) == 2
    kept = json.loads(rates.path.read_text())
    assert (kept["host"], kept["threads"]) == (rates.host, rates.threads)
    rates.path.write_text("{")
    Rates(tmp_path).get_or_measure("work", measure)
    assert len(calls) == 3


def test_rates_of_another_machine_are_told_as_such(tmp_path: Path) -> None:
    path = write_rates(tmp_path, host="node7")
    rates = Rates(tmp_path / "rates")
    assert rates.products(1000, 1000, 1000) == pytest.approx(2e9 / 1e11)
    assert "measured on node7-8, not on this machine" in rates.origin
    assert "--recalibrate" in rates.origin
    assert list(path.parent.iterdir()) == [path]


def test_decompositions_grow_with_the_third_power(tmp_path: Path) -> None:
    write_rates(tmp_path)
    rates = Rates(tmp_path / "rates")
    assert rates.eigh(4096) == pytest.approx(64 * rates.eigh(1024))
    assert rates.eigh(128) < rates.eigh(200) < rates.eigh(512)


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let processes that are started import the builders."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")


@pytest.mark.usefixtures("importable")
def test_a_process_of_its_own_is_measured_by_its_peak() -> None:
    little, much = (measure_process(hold, n) for n in (8, 300_000_000))
    assert much["memory"] - little["memory"] == pytest.approx(300e6, rel=0.05)
    assert much["sum"] == 37_500_000


def told(simulated: Path, out: Path, capsys: pytest.CaptureFixture[str], **more: object) -> str:
    """Plan in this process, and give what was said."""
    given: dict = {"model": "ridge", "spaces": ["wide"], "device": "cpu", "subject": "1", **more}
    plan(simulated, out, **given)
    return capsys.readouterr().out


def test_a_plan_names_every_stage(
    simulated: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = told(simulated, out, capsys, spaces=["wide", "narrow"])
    for words in ("dual form (36 pictures", "subj01 lh", "3 subsets of 2", "make report",
                  "altogether", "this machine has", "rates of "):  # fmt: skip
        assert words in said
    assert not list((out / "features").glob("*.shards"))
    assert not (out / "fits").exists()
    said = told(simulated, out, capsys, device="cuda")
    assert "no GPU was measured" in said


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"spaces": ["wid"]}, "wid"),
        ({"model": "rigde"}, "rigde"),
        ({"params": {"alpha": 1}}, "no parameter alpha"),
        ({"group_by": "rois"}, "--group_by rois"),
        ({"subject": "9"}, "no subject '9'"),
        ({"spaces": []}, "--spaces: none given"),
        ({"memory": "lots"}, "--memory lots"),
        ({"device": "cdua"}, "--device cdua"),
        ({"images": 10**6}, "--images 1000000"),
    ],
)
def test_what_the_commands_refuse_a_plan_refuses(
    simulated: Path, out: Path, capsys: pytest.CaptureFixture[str], more: dict, words: str
) -> None:
    with pytest.raises(Exception, match=words) as refused:
        told(simulated, out, capsys, **more)
    assert type(refused.value).__name__.endswith("Error")


def test_a_missing_folder_is_refused_in_the_commands_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--data", str(tmp_path / "none"), "--out", str(tmp_path), "--spaces", "pixels"]
    assert command(plan, "plan", [], where) == 2
    ours = capsys.readouterr().err
    assert command(regress, "regress", [], where) == 2
    assert ours == capsys.readouterr().err
    assert ours.startswith("error: ")


def test_too_little_memory_is_refused_with_what_would_fit(
    simulated: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_space(out, simulated, "huge", 200_000)
    with pytest.raises(PlanError, match="make fit would take") as refused:
        told(simulated, out, capsys, spaces=["huge"], memory="760M")
    assert 'SPACES="huge~2048"' in str(refused.value)
    write_space(out, simulated, "less", 2048)
    assert "--memory gives 760 MB" in told(simulated, out, capsys, spaces=["less"], memory="760M")
    # What is asked for is no remedy.
    with pytest.raises(PlanError, match=r"what would fit: a machine with more; fewer pictures"):
        told(simulated, out, capsys, spaces=["narrow"], memory="100M")


def test_limits(tmp_path: Path) -> None:
    here = find_limits(tmp_path / "not" / "there")
    assert here.memory > 5e8
    assert here.disk > 0
    assert find_limits(tmp_path, "1.5G").memory == 1_500_000_000
    # As in the file of a cluster.
    assert find_limits(tmp_path, "16").memory == 16_000_000_000


@pytest.mark.parametrize(
    ("write", "number", "text"),
    [
        (format_time, 0.04, "0.0 s"), (format_time, 59, "59 s"), (format_time, 150, "2.5 min"),
        (format_time, 86400, "24 h"), (format_time, 10 * 86400, "10 days"), (format_bytes, 0, "0"),
        (format_bytes, 1.44e9, "1.4 GB"), (format_bytes, 3e12, "3.0 TB"),
        (format_bytes, 5e4, "under 1 MB"),
    ],
)  # fmt: skip
def test_numbers_are_short(write: type, number: float, text: str) -> None:
    assert write(number) == text


@pytest.mark.slow
@pytest.mark.usefixtures("importable")
def test_time_and_memory_of_a_fit_are_as_planned(simulated: Path, tmp_path: Path) -> None:
    write_space(tmp_path, simulated, "wide", 600)
    options: Sequence[object] = ("--data", simulated, "--out", tmp_path, "--model", "ridge",
                                 "--spaces", "wide", "--device", "cpu")  # fmt: skip
    planned = measure_process(plan_ridge, simulated, tmp_path)
    # `measured` takes the peak of the process, and its time less what it waited for others.
    took = measure_process(run_regress, [str(one) for one in options])
    assert planned["planned memory"] == pytest.approx(took["memory"], rel=0.3)
    # Twice, and something for a machine that runs other tests beside.
    assert 1 / 3 < planned["planned seconds"] / took["seconds"] < 3


def test_what_is_measured_elsewhere_reads_the_paths_of_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kept.json").write_text('{"value": 3.5}')
    monkeypatch.chdir(tmp_path)
    assert measure_process(read_json, Path("kept.json"))["value"] == 3.5
