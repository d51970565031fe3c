"""From what a user names to images, each once, each with a folder of its own."""

from __future__ import annotations

import os
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.detection.inputs import RESERVED, jobs_for_cases, jobs_for_paths, unique_names
from metaphase.errors import InputError, SlideError
from metaphase.labels.dataset import Case
from metaphase.slides.address import url_of


def names(jobs):
    return [job.name for job in jobs]


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_files_folders_and_lists(tmp_path):
    touch(*(tmp_path / "f" / name for name in ("b.svs", "a.TIF", "notes.md", "c.png")))
    touch(tmp_path / "d.tif")
    (tmp_path / "list.txt").write_text("# mine\nd.tif\n\n  f/b.svs \n")
    jobs = jobs_for_paths([tmp_path / "f", tmp_path / "list.txt", tmp_path / "f" / "a.TIF"])
    assert names(jobs) == ["a", "b", "c", "d"]
    assert [job.image for job in jobs][3] == tmp_path / "d.tif"


def test_options_reach_the_jobs(tmp_path):
    (job,) = jobs_for_paths([tmp_path / "a.tif"], mpp=0.3, scanner="Aperio XT", force_mpp=True)
    assert (job.mpp, job.scanner, job.force_mpp) == (0.3, "Aperio XT", True)
    with pytest.raises(SlideError, match=r"a\.tif"):
        job.open()


def test_all_that_is_wrong_is_told_at_once(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "e.txt").write_text("# nothing\n")
    with pytest.raises(InputError) as caught:
        jobs_for_paths([tmp_path / "empty", tmp_path / "e.txt", tmp_path / "gone.txt"])
    assert len(caught.value.problems) == 3


def test_colliding_stems_get_longer_names():
    paths = [Path(p) for p in ("/x/a.svs", "/x/a.tif", "/y/a.tif", "/x/b.tif", "/x/B.png")]
    assert unique_names(paths) == ["a.svs", "x_a.tif", "y_a.tif", "b.tif", "B.png"]
    twins = unique_names([Path("/p/x/a.tif"), Path("/q/x/a.tif")])
    assert len(set(twins)) == 2
    assert all(name.startswith("a_") for name in twins)


PARTS = st.sampled_from(["a", "A", "b", "a_b", "c.d"])


@given(st.lists(st.tuples(PARTS, PARTS, PARTS, st.sampled_from([".tif", ".svs"])), unique=True))
def test_names_are_unique_and_do_not_depend_on_the_order(rows):
    paths = [Path(f"/{a}/{b}/{c}{end}") for a, b, c, end in rows]
    found = dict(zip(paths, unique_names(paths), strict=True))
    assert len({name.casefold() for name in found.values()}) == len(paths)
    backwards = paths[::-1]
    assert dict(zip(backwards, unique_names(backwards), strict=True)) == found


def test_cases_are_named_by_their_id_and_stay_inside(tmp_path):
    cases = [
        Case("007", image=tmp_path / "x.tif", mpp=0.25, scanner="Aperio CS2"),
        Case("set/008"),
        Case("../../etc/009"),
    ]
    jobs = jobs_for_cases(cases, mpp=0.3)
    assert names(jobs) == ["007", "set/008", "etc/009"]
    assert jobs[0].scanner == "Aperio CS2"
    with pytest.raises(SlideError, match="has no image"):
        jobs[1].open()


def test_parts_of_a_slide_are_no_slides(tmp_path):
    touch(*(tmp_path / name for name in ("S.jpg", "S(0,1).jpg", "other.jpg", "._other.jpg")))
    (tmp_path / "S.vms").write_text("ImageFile=S.jpg\nImageFile(0,1)=S(0,1).jpg\n")
    assert names(jobs_for_paths([tmp_path])) == ["S", "other"]
    named = [tmp_path / name for name in ("S(0,1).jpg", "S.jpg", "S.vms")]
    assert [job.image.name for job in jobs_for_paths(named)] == ["S.vms"]
    assert [job.image.name for job in jobs_for_paths(named[:2])] == ["S(0,1).jpg", "S.jpg"]


UNSAFE = ["...tiff", "failures.csv.tiff", "detections.json.png", ".hidden.png", "a\nb.png", "..png"]


@pytest.mark.parametrize("name", UNSAFE)
def test_a_name_that_no_result_folder_can_have_is_replaced(tmp_path, name):
    (found,) = unique_names([tmp_path / "in" / name], tmp_path / "out")
    folder = (tmp_path / "out" / found).resolve()
    assert folder.parent == (tmp_path / "out").resolve()
    assert found.isprintable()
    assert not found.startswith(".")
    assert found.casefold() not in RESERVED


def test_a_name_that_is_not_utf_8_is_replaced_by_one_that_is(tmp_path):
    path = tmp_path / os.fsdecode(b"b\xff.png")
    (name,) = unique_names([path])
    assert name.encode("utf-8")
    assert name.startswith("b_")
    other = tmp_path / os.fsdecode(b"b\xfe.png")
    assert len(set(unique_names([path, other]))) == 2


def test_a_folder_that_is_a_file_of_the_output_is_avoided(tmp_path):
    touch(tmp_path / "slide", tmp_path / "slide.svs")
    found = unique_names([tmp_path / "slide", tmp_path / "slide.svs"], tmp_path)
    assert not any((tmp_path / name).is_file() for name in found)
    assert len(set(found)) == 2


@given(st.lists(st.text(max_size=12), unique=True, max_size=6))
def test_the_folders_of_any_case_ids_are_different_and_inside(ids):
    jobs = jobs_for_cases([Case(id) for id in ids if id])
    folders = [job.name for job in jobs]
    assert len({name.casefold() for name in folders}) == len(folders)
    out = Path("/out")
    for name in folders:
        assert os.path.normpath(out / name) == str(out / name)
        assert str(out / name).startswith("/out/")
        assert name.isprintable()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_lists_as_windows_users_write_them(tmp_path, encoding):
    (tmp_path / "im").mkdir()
    for name in ("a.png", "b c.png"):
        (tmp_path / "im" / name).touch()
    path = tmp_path / "list.txt"
    path.write_bytes('im\\a.png\r\n"im/b c.png"\r\n# a comment\r\n'.encode(encoding))
    jobs = jobs_for_paths([path])
    assert [job.image for job in jobs] == [tmp_path / "im" / "a.png", tmp_path / "im" / "b c.png"]


def test_addresses_are_jobs_named_without_their_query(tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text("https://host/x/b.svs?key=secret\ngs://bucket/c.svs\n")
    jobs = jobs_for_paths([Path("https://host/a%20b.svs"), listed])
    assert [job.name for job in jobs] == ["a b", "b", "c"]
    assert [url_of(job.image) for job in jobs] == [
        "https://host/a%20b.svs",
        "https://host/x/b.svs?key=secret",
        "gs://bucket/c.svs",
    ]


def test_a_list_with_a_name_that_no_file_can_have(tmp_path):
    touch(tmp_path / "a.tif")
    (tmp_path / "list.txt").write_text(f"a.tif\n{'n' * 300}.tif\n/\n")
    out = tmp_path / "out"
    jobs = jobs_for_paths([tmp_path / "list.txt"], out=out)
    assert names(jobs)[0] == "a"
    for job in jobs:
        (out / job.name).mkdir(parents=True)
    for job in jobs[1:]:
        with pytest.raises(SlideError):
            job.open()


def test_links_in_a_circle_are_images_that_fail(tmp_path):
    (tmp_path / "circle.tif").symlink_to("circle.tif")
    (job,) = jobs_for_paths([tmp_path / "circle.tif"])
    with pytest.raises(SlideError, match=r"circle\.tif"):
        job.open()


def test_an_image_in_the_root_folder():
    (job,) = jobs_for_paths(["/no-such-image.tif"])
    assert job.name == "no-such-image"


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names of files are UTF-8 there")
def test_a_list_of_names_that_are_not_utf8(tmp_path):
    touch(tmp_path / "a\udcff.tif")
    (tmp_path / "list.txt").write_bytes(b"a\xff.tif\n")
    (job,) = jobs_for_paths([tmp_path / "list.txt"])
    assert job.image == tmp_path / "a\udcff.tif"


def test_names_that_differ_in_the_form_of_accents_alone_get_different_folders(tmp_path):
    images = [tmp_path / "d\u00e9tail.png", tmp_path / "de\u0301tail.png"]
    names = unique_names(images)
    assert len({unicodedata.normalize("NFC", name) for name in names}) == 2
    assert unique_names(images[:1]) == ["d\u00e9tail"]
