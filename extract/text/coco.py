"""COCO's captions of NSD's pictures: annotation files, and NSD's table from its ids to COCO's.

NSD's ids count from 0 both in the table's column `nsdId` (0 to 72,999) and in the challenge's file
names: the challenge's tutorial says that the number in `train-0001_nsd-00013.png` indexes NSD's
stimuli from 0. NSD's MATLAB files, its `responses.tsv` and names such as `shared0001_nsd02951.png`
count the same pictures from 1; a table with the id 73,000 does so too, and is refused.

NSD showed square crops of COCO's pictures: a caption may mention objects outside the crop.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from base import DocumentError, read_json
from challenge.layout import N_NSD
from extract.errors import ExtractError
from extract.text.csv_rows import read_columns

TABLE_COLUMNS = ("nsdId", "cocoId")
TABLE_NAME = "nsd_stim_info_merged.csv"


def read_coco(annotations: Sequence[Path], table: Path) -> dict[int, list[str]]:
    """Read the captions, if any, of each NSD id in NSD's table."""
    coco_ids = read_stimulus_table(table)
    # Only captions of NSD's pictures are kept in memory, about half of COCO.
    captions: dict[int, list[str]] = {coco_id: [] for coco_id in coco_ids.values()}
    for path in annotations:
        empty = []
        for image, caption in read_annotations(path):
            if image in captions:
                captions[image].append(caption.strip())
                if not caption.strip():
                    empty.append(image)
        if empty:
            raise ExtractError(
                f"{path}: {len(empty)} captions of NSD's pictures are empty (first: COCO id "
                f"{empty[0]}): take them out of the file, or fetch it again"
            )
    return {nsd_id: captions[coco_id] for nsd_id, coco_id in coco_ids.items()}


def read_stimulus_table(path: Path) -> dict[int, int]:
    """Read the COCO id of each NSD id, counting from 0.

    The file is NSD's `nsd_stim_info_merged.csv`, or a CSV with its columns `nsdId` and `cocoId`.
    """
    coco_ids: dict[int, int] = {}
    for line, (nsd_text, coco_text) in read_columns(path, TABLE_COLUMNS):
        try:
            nsd_id, coco_id = int(nsd_text), int(coco_text)
        except ValueError:
            raise ExtractError(
                f"{path}: line {line}: nsdId {nsd_text!r}, cocoId {coco_text!r}; expected whole "
                f"numbers: fetch {TABLE_NAME} again"
            ) from None
        if not 0 <= nsd_id < N_NSD:
            raise ExtractError(
                f"{path}: line {line}: nsdId {nsd_id}, expected 0 to {N_NSD - 1}, as in the "
                "pictures' names: where a table counts from 1, take 1 from each"
            )
        if coco_ids.setdefault(nsd_id, coco_id) != coco_id:
            raise ExtractError(
                f"{path}: line {line}: nsdId {nsd_id} has cocoId {coco_id}, and {coco_ids[nsd_id]} "
                f"further up; expected one: fetch {TABLE_NAME} again"
            )
    return coco_ids


def read_annotations(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the COCO id of the picture and the text of each caption in an annotation file.

    Files such as `captions_train2017.json` have some 90 MB, and are read into memory.
    """
    annotations = _read_annotation_list(path)
    for number, annotation in enumerate(annotations, start=1):
        fields = annotation if isinstance(annotation, dict) else {}
        image, caption = fields.get("image_id"), fields.get("caption")
        if type(image) is not int or not isinstance(caption, str):
            raise ExtractError(
                f"{path}: annotation {number} has the fields {', '.join(fields) or 'none'}; "
                "expected a whole number image_id and a text caption: COCO's files of captions "
                "are captions_train2017.json and captions_val2017.json"
            )
        yield image, caption


def _read_annotation_list(path: Path) -> list[Any]:
    try:
        content = read_json(path)
    except DocumentError as error:
        raise ExtractError(
            f"{error}; expected COCO's captions: fetch the file again, and unpack it"
        ) from error
    annotations = content.get("annotations")
    if not isinstance(annotations, list):
        raise ExtractError(
            f'{path}: fields {", ".join(content) or "none"}; expected a list "annotations", as in '
            "COCO's captions_train2017.json"
        )
    return annotations
