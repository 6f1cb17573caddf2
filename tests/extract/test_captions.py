"""Captions: from COCO's files or a CSV to those of each picture, and what is refused in words."""

import csv
import json
import logging
import re

import pytest

from challenge import DataError, find_subjects
from extract.errors import ExtractError
from extract.text.captions import read_captions
from tests.builders.captioned import name_pictures, said_of, write_coco, write_plain


@pytest.fixture(scope="module")
def subjects(simulated):
    return find_subjects(simulated, "all")


@pytest.fixture(scope="module")
def named(subjects):
    return name_pictures(subjects)


@pytest.fixture
def coco(named, tmp_path):
    said = {number: said_of(number) for number in named}
    return write_coco(tmp_path, {**said, 5: ["never seen"], 72999: ["nor this"]})


@pytest.fixture
def rows(named):
    """Give the captions of `coco`, as rows of a CSV."""
    found = [(name, said) for number, (name, _) in named.items() for said in said_of(number)]
    return [
        *found,
        ("train-0001_nsd-00005.png", "never seen"),
        ("test-0_nsd-72999.png", "nor this"),
    ]


@pytest.fixture
def plain(rows, tmp_path):
    return write_plain(tmp_path / "captions.csv", rows)


def test_one_key_whatever_the_files_look_like(subjects, named, coco, plain, rows, tmp_path):
    captions = read_captions(coco)
    again = tmp_path / ".." / tmp_path.name / coco[0].name
    assert read_captions([coco[2], coco[1], coco[0], again]).digest == captions.digest
    assert read_captions([plain]).digest == captions.digest
    # A spreadsheet's file: other order, names, columns and quotes.
    with (tmp_path / "b.csv").open("w", newline="", encoding="utf-8-sig") as opened:
        writer = csv.writer(opened, quoting=csv.QUOTE_ALL)
        writer.writerow(["caption", "", "picture"])
        for place, (name, said) in enumerate(reversed(rows)):
            other = name.replace("/", "\\") if "7" in name else name.rpartition("/")[2]
            writer.writerow([f" {said} ", place, other])
    assert read_captions([tmp_path / "b.csv"]).digest == captions.digest
    by_content = [(d.upper(), said) for n, (_, d) in named.items() for said in said_of(n)]
    other = read_captions([write_plain(tmp_path / "c.csv", by_content)])
    assert other.for_subjects(subjects) == captions.for_subjects(subjects)


def test_any_other_caption_is_another_key_and_a_further_subject_is_not(
    subjects, plain, rows, tmp_path
):
    changed = [(name, f"{said}!") if not n else (name, said) for n, (name, said) in enumerate(rows)]
    sources = [rows, changed, rows[1:], [*rows, rows[0]], [*rows, (rows[0][0], "one more")]]
    keys = [read_captions([write_plain(tmp_path / "x.csv", s)]).digest for s in sources]
    assert len(set(keys)) == len(sources)
    captions = read_captions([plain])
    first, both = captions.for_subjects(subjects[:1]), captions.for_subjects(subjects)
    assert first.items() < both.items()
    assert captions.digest == keys[0]


OBJECTS = json.dumps({"annotations": [{"image_id": 1, "bbox": [0, 0, 1, 1], "category_id": 3}]})
TRAIN, TABLE = "captions_train2017.json", "nsd_stim_info_merged.csv"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (TRAIN, "", r"train2017\.json: cannot be read as JSON \(Expecting value.*fetch the file"),
        (TRAIN, "<html>", r"cannot be read as JSON"),
        (TRAIN, b"\xff\xfe{}", r"is not UTF-8 text \(.*utf-8.*fetch the file again"),
        (TRAIN, "[" * 10**6, r"nested too deeply to be read as JSON; expected COCO's captions"),
        (TRAIN, "[1]", r"holds list, expected names and values; expected COCO's captions"),
        (TRAIN, '{"images": [], "info": {}}', r"fields images, info; expected a list"),
        (TRAIN, OBJECTS, r"annotation 1 has the fields image_id, bbox, category_id; expected a w"),
        (TRAIN, '{"annotations": ["x"]}', r"annotation 1 has the fields none; expected"),
        (TRAIN, '{"annotations": [{"image_id": true, "caption": "x"}]}', r"expected a whole numb"),
        (TRAIN, '{"annotations": []}', r"train2017\.json.*no caption of \d+ of \d+ pictures \(first"
                r": subj0.*\); expected one at least: NSD's pictures are of both train2017 and"),
        (TABLE, "nsdId,cocoId\n", r"no row with the NSD id of (\d+) of \1 pictures \(first: subj01"
                r"/training_split/.*nsd-\d+\.png.*fetch nsd_stim_info_merged\.csv again"),
        (TABLE, "nsdId,cocoId\n3,1.5\n", r"line 2: nsdId '3', cocoId '1\.5'; expected whole"),
        (TABLE, "nsdId,cocoId\n73000,7\n", r"line 2: nsdId 73000, expected 0 to 72999, .*from 1"),
        (TABLE, "nsdId,cocoId\n3,7\n3,8\n", r"line 3: nsdId 3 has cocoId 8, and 7 further up"),
        (TABLE, "nsdId,url\n3,7\n", r"columns nsdId, url; expected picture and caption, or nsdId"),
        (TABLE, b"nsdId,cocoId\n\xe9,7\n", r"csv: not UTF-8 \(byte 0xe9\): save it again as UTF-8"),
        (TABLE, "", r"csv: columns none; expected"),
    ],
)  # fmt: skip
def test_bad_files_of_cocos(subjects, coco, tmp_path, name, text, message):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ExtractError, match=message):
        read_captions(coco).for_subjects(subjects)


def test_empty_captions_of_shown_pictures(named, tmp_path):
    said = {number: said_of(number) for number in named}
    number = next(n for n in said if n % 2)
    paths = write_coco(tmp_path, {**said, number: ["", " \n"]})
    message = rf"2 captions of NSD's pictures are empty \(first: COCO id {11 * number + 3}\)"
    with pytest.raises(ExtractError, match=message):
        read_captions(paths)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (
            [],
            r"--captions: none given, .*; expected captions_train2017\.json captions_v",
        ),
        (["no.json"], r"--captions .*no\.json: there is no such file; expected"),
        ([TRAIN], r"1 of COCO's annotation files and 0 stimulus tables.*experiments/nsd/nsd_stim"),
        ([TABLE], r"0 of COCO's annotation files and 1 stimulus tables"),
        (
            [TRAIN, TABLE, "captions.csv"],
            r"captions\.csv is a list of pictures .*expected one kind",
        ),
        (["captions.zip"], r"captions\.zip: expected \.json or \.csv: unpack it first"),
    ],
)
def test_files_that_do_not_go_together(coco, plain, tmp_path, chosen, message):
    assert plain.exists()
    (tmp_path / "captions.zip").write_bytes(b"PK")
    with pytest.raises(ExtractError, match=message):
        read_captions([str(tmp_path / name) for name in chosen])
    assert len(coco) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("picture;caption\na.png;x\n", r"columns picture;caption; expected picture and caption"),
        ("picture,caption\na.png,x, y\n", r"line 2 has 3 fields, expected 2 .*double quotes"),
        ("picture,caption\na.png\n", r"line 2 has 1 fields, expected 2 \(picture,caption\)"),
        ('picture,caption\na.png,"x\nb.png,y\n', r"line 3 cannot be read as CSV \(unexpected end"),
        ("picture,caption\na.png,x\na.png, \n", r"1 rows have no picture or an empty caption \(fir"
                                                r"st: line 3\): fill them in"),
        ("picture,caption\n,x\n", r"no picture or an empty caption \(first: line 2\)"),
        ("picture,caption\nsubj01/train-0001_nsd-00013.png,x\n\ntrain-0002_nsd-00013.png,y\n",
         r"subj01/train-0001_nsd-00013\.png and train-0002_nsd-00013\.png are one picture with"),
        ("picture,caption\na.png,x\n", r"no caption of (\d+) of \1 pictures \(first: subj01/traini"
                                       r"ng_split/training_images/train-0001.*: add a row"),
    ],
)  # fmt: skip
def test_bad_csv(subjects, tmp_path, text, message):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(ExtractError, match=message):
        read_captions([tmp_path / "x.csv"]).for_subjects(subjects)


def test_encodings_and_line_ends(subjects, plain, rows, tmp_path):
    content = plain.read_bytes()
    assert content.count(b"\r\n") == len(rows) + 1
    digest = read_captions([plain]).digest
    plain.write_bytes(content.replace(b"\r\n", b"\n"))
    assert read_captions([plain]).digest == digest
    write_plain(plain, rows, encoding="utf-8-sig")
    assert read_captions([plain]).digest == digest
    for encoding in ("utf-16", "latin-1"):
        ascii_rows = [(name, said.replace("“", "").replace("”", "")) for name, said in rows]
        write_plain(plain, ascii_rows, encoding=encoding)
        with pytest.raises(ExtractError, match=r"captions\.csv: not UTF-8 \(byte 0x..\): save it"):
            read_captions([plain])


def test_missing_captions_are_counted_and_named(subjects, named, rows, tmp_path):
    lacking = sorted(n for n in named if named[n][0].startswith("subj01"))[:2]
    names = [named[n][0] for n in lacking]
    kept = [row for row in rows if row[0] not in names]
    captions = read_captions([write_plain(tmp_path / "x.csv", kept)])
    with pytest.raises(ExtractError) as caught:
        captions.for_subjects(subjects)
    assert f"x.csv: no caption of 2 of {len(named)} pictures (first: " in str(caught.value)
    assert all(name.partition("/")[2] in str(caught.value) for name in names)


def test_a_csv_may_cover_more(subjects, plain, caplog):
    captions = read_captions([plain])
    with caplog.at_level(logging.WARNING, logger="extract"):
        captions.for_subjects(subjects)
    (record,) = caplog.records
    assert re.search(r"captions\.csv: 2 of \d+ pictures are none of these subjects' \(first: nsd-5",
                     record.getMessage())  # fmt: skip


def test_pictures_without_nsd_ids(broken, coco, tmp_path):
    data = broken()
    subject = find_subjects(data, "01")[0]
    first = subject.pictures("train")[0]
    (second,) = find_subjects(data, "02")[0].pictures("train")[:1]
    first.rename(first.with_name("train-0001_boat.png"))
    second.rename(second.with_name("train-0001_boat.png"))
    with pytest.raises(DataError, match=r"boat\.png: the name holds no NSD id"):
        read_captions(coco).for_subjects(find_subjects(data, "01"))
    subjects = find_subjects(data)
    places = [p.relative_to(data).as_posix() for subject in subjects
              for split in ("train", "test") for p in subject.pictures(split)]  # fmt: skip
    own = [(place, f"seen as {place.partition('_nsd')[2] or place}") for place in places]
    (subject,) = subjects[:1]
    digests = subject.picture_digests("train") + subject.picture_digests("test")
    texts = read_captions([write_plain(tmp_path / "own.csv", own)]).for_subjects([subject])
    assert [texts[digest] for digest in digests] == [(said,) for _, said in own[: len(digests)]]
    name = "train-0001_boat.png"
    short = [(name if "boat" in place else place, "x") for place in places]
    message = rf"'{name}' is the name of two pictures; expected one: write subj01/tr.*subj02/tr"
    captions = read_captions([write_plain(tmp_path / "short.csv", short)])
    with pytest.raises(ExtractError, match=message):
        captions.for_subjects(subjects)
    both = [*own, (digests[0], "something else")]
    with pytest.raises(ExtractError, match=r"has different captions as .* and as .*; expected the"):
        read_captions([write_plain(tmp_path / "both.csv", both)]).for_subjects([subject])
