"""Captions of the simulated pictures, written as COCO, NSD and people write theirs."""

import csv
import json

SAID = [
    "A dog jumps over a low fence.",
    "two people on a bench, beside the sea\n",
    "A red bus; it waits!",
    "Café tables “in the rain”",
    "a very small kitchen",
    "A MAN RIDES A WAVE",
    "sheep",
]
LONG = " ".join(["a long row of parked bicycles"] * 20)


def said_of(number):
    """Two captions of a picture by its NSD id; of some pictures, one caption twice."""
    return [SAID[number % len(SAID)], SAID[number // 3 % len(SAID)]]


def write_table(path, coco_ids):
    with path.open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["", "cocoId", "cocoSplit", "cropBox", "loss", "nsdId", "flagged"])
        for row, (number, coco_id) in enumerate(coco_ids.items()):
            split = "val2017" if coco_id % 2 else "train2017"
            writer.writerow([row, coco_id, split, "(0.0, 0.0, 0.1, 0.1)", 0.1, number, False])
    return path


def write_coco(folder, said):
    """Write COCO's two files and NSD's table, for captions by NSD id; return the paths."""
    coco_ids = {number: 11 * number + 3 for number in said}
    paths = []
    for odd, name in enumerate(("captions_train2017.json", "captions_val2017.json")):
        rows = [
            {"image_id": coco_ids[number], "id": 100 * number + place, "caption": caption}
            for number, captions in said.items() if coco_ids[number] % 2 == odd
            for place, caption in enumerate(captions)
        ]  # fmt: skip
        rows.append({"image_id": odd, "id": 7, "caption": " "})  # never shown by NSD
        images = [{"id": image} for image in sorted({row["image_id"] for row in rows})]
        content = {"info": {}, "licenses": [], "images": images, "annotations": rows}
        paths.append(folder / name)
        paths[-1].write_text(json.dumps(content))
    return [*paths, write_table(folder / "nsd_stim_info_merged.csv", coco_ids)]


def write_plain(path, rows, encoding="utf-8"):
    with path.open("w", newline="", encoding=encoding) as opened:
        csv.writer(opened).writerows([("picture", "caption"), *rows])
    return path


def name_pictures(subjects):
    """`subj01/name.png` of each NSD picture, by its id, and the sha256 of the file."""
    return {
        int(number): (f"{subject.folder.name}/{path.name}", digest)
        for subject in reversed(subjects) for split in ("train", "test")
        for number, path, digest in zip(
            subject.nsd_ids(split), subject.pictures(split), subject.picture_digests(split),
            strict=True,
        )
    }  # fmt: skip
