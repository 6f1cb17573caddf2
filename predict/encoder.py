"""A fitted encoder of a subject: pictures in, predicted responses out."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cache import FeatureStore
from evaluate.ensembles import DEFAULT
from predict.combination import Combination, load_combination
from predict.errors import PredictError
from predict.features import FeatureReader, check_weights
from predict.images import to_pictures
from predict.packs.pack import is_pack, open_pack
from predict.readout import Readout

if TYPE_CHECKING:
    import pandas as pd


# Pictures whose features are computed before any is predicted.
CHUNK = 512
BATCH = 32


@dataclass
class Encoder:
    """The fits of a subject, combined as in the submission; made by `load_encoder`.

    Attributes
    ----------
    subject : str
        The number of the subject, such as "01".
    simulated : bool
        Whether the responses that it was fitted on were simulated.
    untrained : tuple of str
        Feature spaces whose networks have random weights.

    Examples
    --------
    >>> encoder = load_encoder("encoders/fits/pixels", subject="01")
    >>> encoder.subject, encoder.simulated
    ('01', True)
    """

    readout: Readout
    features: FeatureReader

    @property
    def meta(self) -> dict[str, Any]:
        """The record of the encoder: fits, spaces, sizes, provenance."""
        return self.readout.meta

    @property
    def subject(self) -> str:
        """The number of the subject."""
        return self.readout.subject

    @property
    def simulated(self) -> bool:
        """Whether the responses were simulated."""
        return self.readout.simulated

    @property
    def untrained(self) -> tuple[str, ...]:
        """Feature spaces whose networks have random weights."""
        return self.readout.untrained

    @property
    def n_vertices(self) -> int:
        """The number of vertices of both hemispheres."""
        return self.readout.n_vertices

    @property
    def rois(self) -> "pd.DataFrame":
        """The ROIs: `name`, `hemisphere`, `roi_class`, `roi` and `n_vertices`."""
        import pandas as pd

        table = pd.DataFrame(self.meta["rois"], columns=["hemisphere", "roi_class", "roi"])
        table.insert(0, "name", list(self.readout.roi_names))
        return table.assign(n_vertices=list(map(len, self.readout.roi_columns)))

    def predict(
        self, images: Any, roi: Sequence[str] | None = None, mean: bool = False
    ) -> "NDArray[np.float32] | pd.DataFrame":
        """Predict the responses to pictures, in standard deviations of a scan session.

        Parameters
        ----------
        images : path, PIL picture, array, torch tensor, or sequence of them
            Arrays are (height, width), (height, width, 3) or, for several pictures,
            (n_images, height, width, 3), of uint8, or of floats from 0 to 1; tensors have channels
            first, (3, height, width). A path may be a folder, list or archive.
        roi : sequence of str, optional
            Names of ROIs, "FFA-1" in both hemispheres or "lh.FFA-1"; all vertices by default.
        mean : bool
            Whether to average over the vertices of each ROI.

        Returns
        -------
        array of float32 (n_images, n_vertices), or DataFrame (n_images, n_rois)
            Vertices of the left hemisphere, then of the right, NaN where no fit has the vertex;
            with `roi`, those of its ROIs, one ROI after the other. With `mean`, a column per ROI.

        Examples
        --------
        >>> encoder = load_encoder("encoders/fits/pixels", subject="01")
        >>> picture = np.zeros((64, 64, 3), np.uint8)
        >>> encoder.predict(picture).shape, encoder.predict([picture] * 2, ["V1v"]).shape
        ((1, 125), (2, 4))
        >>> list(encoder.predict(picture, roi=["V1v"], mean=True))
        ['lh.V1v', 'rh.V1v']
        """
        readout, names = self.readout, [roi] if isinstance(roi, str) else roi
        numbers = None if names is None else readout.select_rois(names)
        predict = readout.roi_means if mean else readout.roi_vertices
        parts = [predict(rows, numbers) for rows in self._rows(images)]
        predicted = np.concatenate(parts)
        if not mean:
            return predicted
        import pandas as pd

        columns = [readout.roi_names[n] for n in numbers or range(len(readout.roi_names))]
        return pd.DataFrame(predicted, columns=columns)

    def novelty(self, images: Any) -> "pd.DataFrame":
        """Compute how far pictures lie from the training pictures in feature space.

        Parameters
        ----------
        images : path, PIL picture, array, torch tensor, or sequence of them
            As for `predict`.

        Returns
        -------
        DataFrame
            `novelty`, the percentage of held-out pictures that are nearer, and `distance`, which is
            1 for the median held-out picture.

        Examples
        --------
        >>> encoder = load_encoder("encoders/fits/pixels", subject="01")
        >>> list(encoder.novelty(np.zeros((64, 64, 3), np.uint8)))
        ['novelty', 'distance']
        """
        import pandas as pd

        tables = [self.readout.distances(rows) for rows in self._rows(images)]
        return pd.DataFrame(np.concatenate(tables), columns=["novelty", "distance"])

    def to_surface(self, values: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Place values of vertices on fsaverage.

        Parameters
        ----------
        values : array (..., n_vertices)
            Values of all vertices, as `predict` returns them.

        Returns
        -------
        dict of str to array (..., 163842)
            By hemisphere, "lh" and "rh", in FreeSurfer's order; NaN where nothing was measured.

        Examples
        --------
        >>> encoder = load_encoder("encoders/fits/pixels", subject="01")
        >>> encoder.to_surface(encoder.predict(np.zeros((64, 64, 3), np.uint8)))["lh"].shape
        (1, 163842)
        """
        return self.readout.to_surface(values)

    def _rows(self, images: Any) -> Iterator[dict[str, NDArray[Any]]]:
        """Yield rows of features of a chunk of pictures."""
        for chunk in _chunks(to_pictures(images), CHUNK):
            batches = [
                self.features.compute([self.features.preprocess(image) for image in batch])
                for batch in _chunks(chunk, BATCH)
            ]
            yield {n: np.concatenate([batch[n] for batch in batches]) for n in batches[0]}


def _chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    chunk = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def load_encoder(
    fits: str | Path | Sequence[str | Path],
    subject: str = "01",
    data: str | Path = "data",
    weights: Sequence[str] = (),
    device: str = "auto",
    ensemble: str = DEFAULT,
) -> Encoder:
    """Load the fits of a subject, one or several combined, to predict responses to any picture.

    Parameters
    ----------
    fits : path or sequence of paths
        Folders of fits, `derivatives/fits/ridge-…`, or their names in place of the last part; or
        one pack of `roiridge pack`, its zip, the folder it was unpacked to, or "hf:USER/REPO" for
        one on the Hugging Face hub.
    subject : str
        The number of the subject.
    data : path
        The challenge's directory; read only the first time, to weigh the fits by the held-out
        responses.
    weights : sequence of str
        `SPACE=FILE` for networks whose weights are neither installed nor on a hub.
    device : str
        auto (a GPU if torch sees one), cpu, cuda, cuda:N or mps.
    ensemble : str
        The rule of the weights of several fits, as for the submission.

    Returns
    -------
    Encoder
        The encoder.

    Raises
    ------
    PredictError
        If the fits are in several folders, or their features cannot be computed here.

    Examples
    --------
    >>> encoder = load_encoder("encoders/fits/pixels", subject="01")
    >>> encoder.rois.name[0], encoder.n_vertices
    ('lh.V1v', 125)
    """
    paths = [Path(f) for f in ([fits] if isinstance(fits, str | Path) else fits)]
    name = f"{subject:0>2}"
    if len(paths) == 1 and is_pack(paths[0]):
        (combination,) = open_pack(paths[0], name)
        return Encoder(Readout(combination), make_reader(None, [combination], weights, device))
    roots = {path.parent for path in paths}
    if len(roots) != 1 or next(iter(roots)).name != "fits":
        raise PredictError(
            f"fits: found {', '.join(map(str, paths)) or 'none'}, expected folders of one folder "
            "`fits`, such as derivatives/fits/ridge-3f2a"
        )
    out, names = paths[0].parent.parent, [path.name for path in paths]
    combination = load_combination(out, Path(data), name, names, ensemble)
    features = make_reader(out, [combination], weights, device)
    return Encoder(Readout(combination), features)


def make_reader(
    out: Path | None, combinations: Sequence[Combination], weights: Sequence[str], device: str
) -> FeatureReader:
    """Return the reader of the feature spaces of several encoders, with the cache in OUT if any."""
    # torch takes seconds to import.
    from extract.pipeline.devices import choose_devices

    spaces: dict[str, str] = {}
    keys: dict[str, dict[str, Any]] = {}
    for combination in combinations:
        for name, key in combination.meta["spaces"].items():
            if spaces.setdefault(name, key) != key:
                raise PredictError(
                    f"the subjects' fits read two feature spaces named {name}: predict for one "
                    "subject at a time"
                )
        keys |= combination.meta["keys"]
    check_weights(weights, list(spaces))
    return FeatureReader(
        FeatureStore(out / "features") if out else None,
        spaces,
        keys,
        weights,
        choose_devices(device)[0],
    )
