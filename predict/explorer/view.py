"""What the page shows: the brain with predicted responses, bars of ROIs, similar pictures."""

from typing import Any

import numpy as np
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from challenge import HEMISPHERES
from evaluate.maps.paint import Map
from evaluate.maps.surface import Mesh, load_mesh
from evaluate.report.brain import turning
from predict.explorer.session import Prediction, Session
from predict.novelty import UNLIKE

LOADER = ChoiceLoader([PackageLoader("predict.explorer"), PackageLoader("evaluate.report")])
# Half the width of the colour scale and the bars, in standard deviations of a scan session.
LEAST_LIMIT = 0.1


class View:
    """The page of a session.

    Parameters
    ----------
    session : Session
        The pictures and their predictions.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.mesh: Mesh = load_mesh("fsaverage5")
        self._environment = Environment(loader=LOADER, autoescape=True, undefined=StrictUndefined)
        self._environment.filters["signed"] = lambda value: f"{value:+.2f}".replace("-", "−")

    def render(self, token: str, nonce: str, identifier: str = "", second_id: str = "") -> str:
        """Return the page of a picture, compared with a second one if named."""
        pictures = self.session.pictures
        current, second = pictures.get(identifier), pictures.get(second_id)
        template = self._environment.get_template("explorer.html")
        return template.render(
            token=token,
            nonce=nonce,
            style=self._source("report.css") + self._source("explorer.css"),
            script=self._source("brain.js") + self._source("explorer.js"),
            encoder=self._describe(),
            pictures=list(reversed(pictures.items())),
            identifier=identifier if current else "",
            second_id=second_id if second else "",
            current=current,
            second=second,
            novel=bool(current and current.novelty > UNLIKE),
            rois=self._rois(current, second) if current else [],
            similar=self._similar(current) if current else [],
            turning=self._brain(current, second) if current else None,
        )

    def _source(self, name: str) -> Markup:
        assert self._environment.loader is not None
        return Markup(self._environment.loader.get_source(self._environment, name)[0])

    def _describe(self) -> dict[str, Any]:
        encoder = self.session.encoder
        return {
            "subject": encoder.subject,
            "fits": "; ".join(run["title"] for run in encoder.readout.meta["runs"]),
            "simulated": encoder.simulated,
            "untrained": ", ".join(encoder.untrained),
        }

    def _brain(self, current: Prediction, second: Prediction | None) -> dict[str, Any] | None:
        encoder = self.session.encoder
        if any(f"{h}.fsaverage" not in encoder.readout.combination.arrays for h in HEMISPHERES):
            return None
        maps = [("Predicted response", current.name, current.vertices)]
        if second is not None:
            difference = current.vertices - second.vertices
            maps += [
                ("Difference", f"{current.name} less {second.name}", difference),
                ("Predicted response", second.name, second.vertices),
            ]
        entries = []
        for title, name, values in maps:
            surfaces = encoder.to_surface(values)
            sides = {h: surfaces[h][: self.mesh.n_vertices] for h in HEMISPHERES}
            high = _limit(values)
            unit = "standard deviations of a scan session"
            entry = Map("predicted", title, unit, sides, high, "RdBu_r", low=-high)
            entries.append((encoder.subject, name, entry))
        return turning(entries, self.mesh)

    def _rois(self, current: Prediction, second: Prediction | None) -> list[dict[str, Any]]:
        """Return a bar for each ROI: both values, and the range of the training pictures."""
        names = self.session.encoder.readout.roi_names
        training = self.session.training
        values = [current.rois, *([second.rois] if second else [])]
        limits = [_limit(np.concatenate(values))]
        ranges: Any = [None] * len(names)
        percentiles: Any = [None] * len(names)
        if training is not None:
            ranges = np.percentile(training.rois, [5, 50, 95], axis=0).T
            percentiles = training.percentiles(current.rois)
            limits.append(float(np.abs(ranges).max()))
        high = max(limits)

        def place(value: float) -> float:
            return round(50 + 50 * float(np.clip(value / high, -1, 1)), 2)

        return [
            {
                "name": name,
                "value": float(current.rois[n]),
                "at": place(current.rois[n]),
                "second": None if second is None else float(second.rois[n]),
                "second_at": None if second is None else place(second.rois[n]),
                "range": None if ranges[n] is None else [place(value) for value in ranges[n]],
                "percentile": None if percentiles[n] is None else round(float(percentiles[n])),
            }
            for n, name in enumerate(names)
        ]

    def _similar(self, current: Prediction) -> list[tuple[str, str, float]]:
        training = self.session.training
        return [] if training is None else training.similar(current.rois)


def _limit(values: Any) -> float:
    """Return a round limit of a scale that holds nearly all values."""
    high = float(np.nanpercentile(np.abs(values), 99.5)) if np.size(values) else 0.0
    return max(LEAST_LIMIT, float(np.ceil(10 * high) / 10))
