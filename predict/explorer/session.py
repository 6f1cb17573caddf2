"""The pictures of a session, their predictions, and the training pictures beside them."""

import io
from base64 import b64encode
from collections import OrderedDict
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cache import CacheError
from challenge import Subject
from predict.encoder import CHUNK, Encoder
from predict.features import picture_digest
from predict.pictures import Picture, decode

SIDE = 200
MAX_PICTURES = 24
N_SIMILAR = 6


@dataclass(frozen=True)
class Prediction:
    """A picture of the session and what is predicted for it.

    Attributes
    ----------
    name : str
        The name of its file.
    thumbnail : str
        A small JPEG in base64.
    vertices : array of float32 (n_vertices,)
        Predictions of both hemispheres.
    rois : array of float32 (n_rois,)
        Means of the ROIs.
    novelty, distance : float
        How far it lies from the training pictures; NaN where that is unknown.
    """

    name: str
    thumbnail: str
    vertices: NDArray[np.float32]
    rois: NDArray[np.float32]
    novelty: float
    distance: float


@dataclass
class Training:
    """Predicted means of ROIs for the training pictures, for comparison."""

    subject: Subject
    rois: NDArray[np.float32]  # (n_images, n_rois)

    def percentiles(self, rois: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the share of training pictures with a smaller mean, in percent (n_rois,)."""
        return np.asarray(100 * (self.rois < rois).mean(axis=0))

    def similar(self, rois: NDArray[np.float32]) -> list[tuple[str, str, float]]:
        """Return name, thumbnail and r of the pictures with the most similar pattern over ROIs."""
        spread = self.rois.std(axis=0).clip(1e-9)
        patterns, pattern = ((p - self.rois.mean(axis=0)) / spread for p in (self.rois, rois))
        centred = patterns - patterns.mean(axis=1, keepdims=True)
        direction = pattern - pattern.mean()
        norms = np.linalg.norm(centred, axis=1) * np.linalg.norm(direction)
        r = centred @ direction / norms.clip(1e-12)
        paths = self.subject.pictures("train")
        best = np.argsort(-r)[:N_SIMILAR]
        return [
            (paths[n].name, make_thumbnail(Image.open(paths[n]).convert("RGB")), float(r[n]))
            for n in best
        ]


@dataclass
class Session:
    """The encoder of a session, and the last pictures that it was shown."""

    encoder: Encoder
    training: Training | None
    pictures: "OrderedDict[str, Prediction]" = field(default_factory=OrderedDict)

    def add(self, name: str, content: bytes) -> str:
        """Predict a picture from the content of its file, and return its identifier."""
        identifier = picture_digest(content)[:16]
        if identifier not in self.pictures:
            picture = decode(Picture(name, content))
            features, readout = self.encoder.features, self.encoder.readout
            rows = features.compute([features.preprocess(picture)])
            novelty, distance = np.nan, np.nan
            if readout.has_novelty:
                novelty, distance = map(float, readout.distances(rows)[0])
            self.pictures[identifier] = Prediction(
                name=name,
                thumbnail=make_thumbnail(picture),
                vertices=readout.vertices(rows)[0],
                rois=readout.roi_means(rows)[0],
                novelty=novelty,
                distance=distance,
            )
        self.pictures[identifier] = replace(self.pictures[identifier], name=name)
        self.pictures.move_to_end(identifier)
        while len(self.pictures) > MAX_PICTURES:
            self.pictures.popitem(last=False)
        return identifier


def make_thumbnail(picture: Image.Image) -> str:
    """Return a small JPEG in base64."""
    content = io.BytesIO()
    picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(content, "JPEG", quality=85)
    return b64encode(content.getvalue()).decode("ascii")


def predict_training(encoder: Encoder, subject: Subject | None) -> Training | None:
    """Predict the training pictures from their features in the cache; None where they are not."""
    if subject is None or any(entry is None for entry in encoder.features.entries.values()):
        return None
    try:
        names = subject.picture_digests("train")
        parts = [
            encoder.readout.roi_means(encoder.features.read(names[start : start + CHUNK]))
            for start in range(0, len(names), CHUNK)
        ]
    except CacheError:
        return None  # the cache holds the features of other pictures
    return Training(subject, np.concatenate(parts))
