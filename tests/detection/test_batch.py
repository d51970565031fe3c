"""Many images: finished ones are skipped, failed ones are listed, and files are always whole."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import threading
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from metaphase.detection import imagehashes, pipeline
from metaphase.detection.batch import BatchEvents, BatchOptions, default_marks, detect_batch
from metaphase.detection.executor import LocalExecutor
from metaphase.detection.inputs import jobs_for_paths
from metaphase.detection.overlay import marks_of
from metaphase.detection.plan import Settings
from metaphase.detectionfile import load_detections, save_detections
from metaphase.errors import FolderInUseError, InputError
from metaphase.figures import Detections
from metaphase.locks import locked_folder
from metaphase.provenance import Provenance
from metaphase.qupath.geometry import read_polygons
from metaphase.slides.mask import TissueMask
from tests.detection.scenes import DotRuntime, DotSlide, make_model

FILES = {"detections.csv", "detections.json", "detections.geojson", "overlay.png"}
DOTS = [(60, 50), (200, 150), (290, 30)]


def save_dots(path, dots=DOTS, size=(320, 200)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(DotSlide(*size, 0.25, dots).read(0, 0, *size)).save(path)
    return path


@pytest.fixture
def folder(tmp_path):
    for i, name in enumerate("abc"):
        save_dots(tmp_path / "in" / f"{name}.png", DOTS[: i + 1])
    return tmp_path / "in"


def go(
    folder,
    out,
    *,
    settings=None,
    model=None,
    runtime=None,
    mpp=0.25,
    batch=None,
    again=False,
    overlay=None,
    marks=default_marks,
    events=None,
):
    model = model or make_model()
    runtime = runtime or DotRuntime(model.card.head)
    jobs = jobs_for_paths([folder], mpp=mpp, out=out)
    executor = LocalExecutor(model, runtime, settings or Settings(), batch)
    how = BatchOptions(again, overlay, marks=marks)
    return detect_batch(executor, jobs, model, out, executor.settings, how, events)


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def statuses(outcomes):
    return [outcome.status for outcome in outcomes]


def test_every_image_gets_its_folder(folder, tmp_path):
    out = tmp_path / "out"
    outcomes = go(folder, out)
    assert statuses(outcomes) == ["done"] * 3
    assert [outcome.figures for outcome in outcomes] == [1, 2, 3]
    assert {p.name for p in out.iterdir()} == {"a", "b", "c", "summary.csv"}
    assert {p.name for p in (out / "c").iterdir()} == FILES
    found = load_detections(out / "c")
    assert sorted(np.round(found.x_px).tolist()) == [60, 200, 290]
    assert found.provenance.image == "c.png"
    assert found.provenance.mpp_source == "user"


def test_finished_images_are_skipped_and_their_files_untouched(folder, tmp_path):
    out = tmp_path / "out"
    go(folder, out)
    before = contents(out / "b")
    runtime = DotRuntime(make_model().card.head)
    outcomes = go(folder, out, runtime=runtime)
    assert statuses(outcomes) == ["skipped"] * 3
    assert [outcome.figures for outcome in outcomes] == [1, 2, 3]
    assert runtime.tiles == 0
    assert contents(out / "b") == before
    assert statuses(go(folder, out, again=True)) == ["done"] * 3
    assert contents(out / "b") == before


@pytest.mark.parametrize(
    "change",
    [
        {"settings": Settings(threshold=0.7)},
        {"settings": Settings(min_score=0.2)},
        {"settings": Settings(region=(0, 0, 100, 100))},
        {"settings": Settings(tissue=True)},
        {"mpp": 0.24},
        {"model": make_model(radius=6.0)},
    ],
    ids=["threshold", "min_score", "region", "tissue", "mpp", "model"],
)
def test_other_parameters_are_done_again(folder, tmp_path, change):
    go(folder, tmp_path / "out")
    assert statuses(go(folder, tmp_path / "out", **change)) == ["done"] * 3
    assert statuses(go(folder, tmp_path / "out", **change)) == ["skipped"] * 3


def test_another_precision_is_done_again(folder, tmp_path):
    rounding = DotRuntime(make_model().card.head)
    rounding.precision = "bf16"
    assert statuses(go(folder, tmp_path / "out")) == ["done"] * 3
    assert statuses(go(folder, tmp_path / "out", runtime=rounding)) == ["done"] * 3
    assert load_detections(tmp_path / "out" / "a").provenance.parameters.precision == "bf16"
    assert statuses(go(folder, tmp_path / "out", runtime=rounding)) == ["skipped"] * 3
    assert statuses(go(folder, tmp_path / "out")) == ["done"] * 3


def test_a_changed_image_or_a_damaged_result_is_done_again(folder, tmp_path):
    out = tmp_path / "out"
    go(folder, out)
    save_dots(folder / "a.png", DOTS)
    (out / "b" / "detections.csv").write_text("nonsense\n")
    outcomes = go(folder, out)
    assert statuses(outcomes) == ["done", "done", "skipped"]
    assert outcomes[0].figures == 3


def test_a_missing_overlay_is_drawn_without_detecting(folder, tmp_path):
    out = tmp_path / "out"
    go(folder, out, overlay=False)
    assert not (out / "a" / "overlay.png").exists()
    assert statuses(go(folder, out)) == ["skipped"] * 3
    assert (out / "a" / "overlay.png").exists()
    before = contents(out / "a")
    (out / "a" / "detections.geojson").unlink()
    assert statuses(go(folder, out)) == ["skipped"] * 3
    assert contents(out / "a") == before


def test_a_failed_image_is_listed_and_the_others_go_on(folder, tmp_path):
    out = tmp_path / "out"
    (folder / "aa.png").write_bytes(b"not a picture")
    (folder / "bb.tif").write_bytes((folder / "a.png").read_bytes()[:40])
    outcomes = go(folder, out)
    assert statuses(outcomes) == ["done", "failed", "done", "failed", "done"]
    with (out / "failures.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["name"] for row in rows] == ["aa", "bb"]
    assert all(row["reason"] for row in rows)
    for name in ("aa.png", "bb.tif"):
        (folder / name).unlink()
    assert statuses(go(folder, out)) == ["skipped"] * 3
    assert not (out / "failures.csv").exists()


def summary_of(out):
    with (out / "summary.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_summary_has_a_row_for_each_finished_image(folder, tmp_path):
    out = tmp_path / "out"
    (folder / "aa.png").write_bytes(b"not a picture")
    outcomes = go(folder, out)
    rows = summary_of(out)
    assert [row["name"] for row in rows] == ["a", "b", "c"]
    assert [row["figures"] for row in rows] == ["1", "2", "3"]
    area = 320 * 200 * 0.25**2 / 1e6
    assert {row["area_mm2"] for row in rows} == {f"{area:.4f}"}
    assert rows[2]["figures_per_mm2"] == f"{3 / outcomes[-1].area_mm2:.3f}"
    assert {(row["mpp"], row["threshold"]) for row in rows} == {("0.25", "0.5")}
    assert rows[0]["image"] == str(folder / "a.png")
    before = (out / "summary.csv").read_bytes()
    assert go(folder, out)[0].status == "skipped"
    assert (out / "summary.csv").read_bytes() == before, "skipped images keep their seconds"
    assert go(folder, out, settings=Settings(threshold=0.99))[0].status == "done"
    assert {row["threshold"] for row in summary_of(out)} == {"0.99"}


def test_an_interrupted_run_keeps_its_rows(folder, tmp_path):
    out = tmp_path / "out"

    def stop(job):
        if job.name == "c":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go(folder, out, events=BatchEvents(started=stop))
    assert [row["name"] for row in summary_of(out)] == ["a", "b"]
    go(folder, out)
    assert [row["name"] for row in summary_of(out)] == ["a", "b", "c"]


def test_an_image_that_fails_now_leaves_the_summary(folder, tmp_path):
    out = tmp_path / "out"
    go(folder, out)
    (folder / "b.png").write_bytes(b"damaged since")
    go(folder, out)
    assert [row["name"] for row in summary_of(out)] == ["a", "c"]


def test_results_without_a_row_get_one_with_their_area(folder, tmp_path):
    out = tmp_path / "out"
    go(folder, out)
    rows = summary_of(out)
    (out / "summary.csv").unlink()
    assert statuses(go(folder, out)) == ["skipped"] * 3
    assert summary_of(out) == [{**row, "seconds": ""} for row in rows]


def test_unknown_mpp_is_a_failure_that_names_the_option(folder, tmp_path):
    (outcome, *_) = go(folder, tmp_path / "out", mpp=None)
    assert outcome.status == "failed"
    assert "--mpp" in outcome.reason


def test_even_a_fault_of_ours_fails_one_image_alone(folder, tmp_path):
    class Faulty(DotRuntime):
        def run(self, tiles):
            if self.tiles == 3:
                self.tiles += 100
                raise ZeroDivisionError("oh")
            return super().run(tiles)

    outcomes = go(folder, tmp_path / "out", runtime=Faulty(make_model().card.head), batch=3)
    assert sorted(statuses(outcomes)) == ["done", "done", "failed"]
    assert "ZeroDivisionError: oh" in [o.reason for o in outcomes]


def test_old_files_do_not_survive_beside_new_ones(folder, tmp_path):
    out = tmp_path / "out"
    go(folder, out, settings=Settings(tissue=True))
    assert (out / "a" / "tissue.geojson").exists()
    go(folder, out, overlay=False)
    assert {p.name for p in (out / "a").iterdir()} == FILES - {"overlay.png"}


def test_an_interruption_passes_through_and_finished_parts_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "SAVE_EVERY_S", 0.0)
    random = np.random.default_rng(0)
    dots = random.uniform(20, 880, (30, 2))
    save_dots(tmp_path / "in" / "a.png", dots, (900, 900))
    model = make_model()

    class Interrupted(DotRuntime):
        def run(self, tiles):
            if self.tiles >= 140:
                raise KeyboardInterrupt
            return super().run(tiles)

    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "in", tmp_path / "out", runtime=Interrupted(model.card.head))
    assert {p.name for p in (tmp_path / "out" / "a").iterdir()} == {".blocks"}
    again = DotRuntime(model.card.head)
    go(tmp_path / "in", tmp_path / "out", runtime=again)
    go(tmp_path / "in", tmp_path / "whole")
    assert contents(tmp_path / "out" / "a") == contents(tmp_path / "whole" / "a")
    tiles = load_detections(tmp_path / "out" / "a").provenance.parameters.tiles
    assert again.tiles == tiles - 128


def test_several_images_at_once_give_the_same_files(folder, tmp_path):
    for i in range(6):
        save_dots(folder / f"more{i}.png", DOTS[: i % 3 + 1])
    runtime = DotRuntime(make_model().card.head)
    runtime.streams = 3
    outcomes = go(folder, tmp_path / "many", runtime=runtime)
    assert statuses(outcomes) == ["done"] * 9
    assert [outcome.job.name for outcome in outcomes] == sorted(p.stem for p in folder.iterdir())
    go(folder, tmp_path / "one")
    for outcome in outcomes:
        name = outcome.job.name
        assert contents(tmp_path / "many" / name) == contents(tmp_path / "one" / name)


def test_an_interruption_ends_all_images_in_work(folder, tmp_path):
    class Interrupted(DotRuntime):
        streams = 3

        def run(self, tiles):
            if self.tiles:
                raise KeyboardInterrupt
            return super().run(tiles)

    with pytest.raises(KeyboardInterrupt):
        go(folder, tmp_path / "out", runtime=Interrupted(make_model().card.head))
    assert not [t for t in threading.enumerate() if t.name.startswith("metaphase-image")]
    assert statuses(go(folder, tmp_path / "out")).count("failed") == 0


def test_a_finished_image_that_did_not_change_is_not_read_again(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(imagehashes, "LEAST_BYTES", 1)
    for path in folder.iterdir():
        os.utime(path, (1e9, 1e9))

    class Hashing(LocalExecutor):
        hashed = 0

        def hash(self, job, slide):
            Hashing.hashed += 1
            return super().hash(job, slide)

    model, out = make_model(), tmp_path / "out"
    for expected in ("done", "skipped"):
        executor = Hashing(model, DotRuntime(model.card.head), Settings())
        jobs = jobs_for_paths([folder], mpp=0.25, out=out)
        outcomes = detect_batch(executor, jobs, model, out, executor.settings)
        assert statuses(outcomes) == [expected] * 3
        assert Hashing.hashed == 3
    save_dots(folder / "a.png", DOTS)
    assert statuses(go(folder, out)) == ["done", "skipped", "skipped"]


def test_events_are_called(folder, tmp_path):
    calls = []
    events = BatchEvents(
        started=lambda job: calls.append(job.name),
        progress=lambda done, total: calls.append(done <= total),
        finished=lambda outcome: calls.append(outcome.status),
    )
    go(folder, tmp_path / "out", events=events)
    assert calls[0] == "a"
    assert calls[-1] == "done"
    assert True in calls
    assert False not in calls


def test_where_a_slide_states_bounds_all_geojson_counts_from_their_corner(
    folder, tmp_path, monkeypatch
):
    """As in QuPath: a region that was drawn there is read as it was drawn."""
    from metaphase.counting.analysedregion import load_analysed_region
    from metaphase.qupath.bounds import recorded_offset

    def polygon(name, dx, dy):
        ring = [[x - dx, y - dy] for x, y in [(0, 0), (200, 0), (200, 300), (0, 300), (0, 0)]]
        path = tmp_path / name
        path.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
        return path

    def ring_of(path):
        return json.loads(path.read_text())["features"][0]["geometry"]["coordinates"][0][0]

    monkeypatch.setattr(
        "metaphase.slides.tissue.find_tissue",
        lambda slide: TissueMask(
            np.ones((slide.height_px, slide.width_px), bool),
            slide.mpp,
            slide.mpp,
            slide.width_px,
            slide.height_px,
        ),
    )
    plain, moved = tmp_path / "plain", tmp_path / "moved"
    settings = Settings(roi=polygon("plain.json", 0, 0), tissue=True)
    go(folder, plain, settings=settings)
    for module in ("detection.plan", "detection.resultfolder", "qupath.features"):
        monkeypatch.setattr(f"metaphase.{module}.bounds_offset", lambda properties: (40.0, 8.0))
    go(folder, moved, settings=replace(settings, roi=polygon("moved.json", 40, 8)))
    for name in ("tissue.geojson", "roi.geojson"):
        ours, theirs = ring_of(moved / "c" / name), ring_of(plain / "c" / name)
        assert [[x + 40, y + 8] for x, y in ours] == theirs
    found, same = load_detections(moved / "c"), load_detections(plain / "c")
    assert len(found)
    assert np.array_equal(found.points, same.points)
    assert recorded_offset(found.provenance) == (40, 8)
    assert recorded_offset(same.provenance) == (0, 0)
    assert same.provenance.parameters.bounds_px is None
    for kind in ("tissue", "roi"):
        masks = [
            getattr(load_analysed_region(out / "c", made.provenance), kind).mask
            for out, made in ((moved, found), (plain, same))
        ]
        assert np.array_equal(*masks)


def test_an_roi_keeps_what_lies_in_it(folder, tmp_path):
    ring = [[150, 100], [250, 100], [250, 190], [150, 190], [150, 100]]
    roi = tmp_path / "roi.geojson"
    roi.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    outcomes = go(folder, tmp_path / "out", settings=Settings(roi=roi))
    kept = tmp_path / "out" / "c" / "roi.geojson"
    assert read_polygons(kept)  # for counting, which stays inside of it
    before = kept.read_bytes()
    kept.unlink()  # as an older version left it
    assert statuses(go(folder, tmp_path / "out", settings=Settings(roi=roi))) == ["skipped"] * 3
    assert kept.read_bytes() == before
    assert [o.figures for o in outcomes] == [0, 1, 1]


def test_a_result_that_somebody_else_wrote_is_not_taken_for_ours(folder, tmp_path):
    made = Provenance("a.png", 320, 200, 0.25, threshold=0.5)
    save_detections(Detections([1], [1], [1], provenance=made), tmp_path / "out" / "a")
    assert go(folder, tmp_path / "out")[0].status == "done"


def test_marks_can_be_chosen(folder, tmp_path):
    jobs = []

    def marks(job, detections):
        jobs.append(job.name)
        return marks_of(detections)

    go(folder, tmp_path / "out", marks=marks)
    assert jobs == ["a", "b", "c"]


def test_detections_have_the_validation_of_their_model(folder, tmp_path):
    overall = {"tp": 8, "fp": 2, "fn": 1, "f1": 0.8}
    for scores, counts in (
        ({"validation": {"overall": overall}}, {"threshold": 0.5, "tp": 8, "fp": 2, "fn": 1}),
        ({}, None),
        ({"validation": {"overall": {"tp": 8}}}, None),
    ):
        go(folder, tmp_path / "out", model=make_model(scores=scores), again=True)
        assert (
            load_detections(tmp_path / "out" / "a").provenance.parameters.to_json()["validation"]
            == counts
        )


def test_images_with_names_that_are_not_utf_8_or_reserved_are_done(folder, tmp_path):
    for name in (b"b\xff.png", b"failures.csv.png"):
        target = os.path.join(os.fsencode(folder), name)
        shutil.copyfile(folder / "a.png", target)
    shutil.copyfile(folder / "a.png", folder / "...png")  # hidden: done where it is named
    out = tmp_path / "out"
    assert statuses(go(folder, out)) == ["done"] * 5
    assert statuses(go(folder, out)) == ["skipped"] * 5
    assert statuses(go(folder / "...png", out)) == ["done"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "out"]
    assert not (out / "failures.csv").exists()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_a_full_disk_ends_the_batch_with_the_way_out(folder, tmp_path, monkeypatch, code):
    def full(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("metaphase.detection.resultfolder.save_detections", full)
    with pytest.raises(InputError, match="the same command resumes"):
        go(folder, tmp_path / "out")
    monkeypatch.undo()
    assert statuses(go(folder, tmp_path / "out")) == ["done"] * 3


def test_an_error_of_one_image_that_is_not_of_the_disk_stays_with_it(folder, tmp_path, monkeypatch):
    def odd(*_):
        raise OSError(errno.EIO, "a bad sector")

    monkeypatch.setattr("metaphase.detection.resultfolder.save_detections", odd)
    assert statuses(go(folder, tmp_path / "out")) == ["failed"] * 3
    assert "a bad sector" in (tmp_path / "out" / "failures.csv").read_text()


def test_an_output_folder_that_is_a_file_or_below_one_is_refused(folder, tmp_path):
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match="file"):
            go(folder, out)
    assert (tmp_path / "file").read_text() == "x"


def test_a_folder_that_another_command_writes_to_is_refused(folder, tmp_path):
    with locked_folder(tmp_path / "out"), pytest.raises(FolderInUseError, match="another command"):
        go(folder, tmp_path / "out", settings=Settings(min_score=0.5))
    assert statuses(go(folder, tmp_path / "out")) == ["done"] * 3
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"a", "b", "c", "summary.csv"}


def test_notes_have_the_warnings_of_the_provenance(folder, tmp_path):
    (outcome, *_) = go(folder, tmp_path / "out", mpp=0.5)
    assert any("um/px" in note for note in outcome.notes)
    warnings = json.loads((tmp_path / "out" / "a" / "detections.json").read_text())["warnings"]
    assert outcome.notes == tuple(f"a.png: {text}" for text in warnings)


def test_what_a_killed_run_left_in_a_finished_folder_is_removed(folder, tmp_path):
    out = tmp_path / "out"
    go(folder, out)
    before = contents(out / "a")
    (out / "a" / ".blocks").mkdir()
    (out / "a" / ".blocks" / "000000-1.npz").write_bytes(b"part")
    (out / "a" / ".overlay-a1b2c3d4.tmp.png").write_bytes(b"half")
    assert statuses(go(folder, out)) == ["skipped"] * 3
    assert contents(out / "a") == before


def test_many_images_get_no_overlays_by_default(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("metaphase.detection.batch.MAX_OVERLAYS", 2)
    go(folder, tmp_path / "many")
    assert not list((tmp_path / "many").glob("*/overlay.png"))
    go(folder, tmp_path / "asked", overlay=True)
    assert len(list((tmp_path / "asked").glob("*/overlay.png"))) == 3
    go(folder / "a.png", tmp_path / "one")
    assert (tmp_path / "one" / "a" / "overlay.png").exists()
