"""`python -m predict explore`: a local page that shows what a picture does to the brain."""

from pathlib import Path

from base import convert_paths, say
from evaluate.ensembles import DEFAULT


@convert_paths
def explore(
    data: Path = Path("data"),
    out: Path = Path("derivatives"),
    subject: str = "01",
    fits: list[str] | None = None,
    port: int = 0,
    weights: list[str] = [],  # noqa: B006
    device: str = "auto",
    ensemble: str = DEFAULT,
) -> None:
    """Serve a page on this machine: drop pictures, and see the predicted responses.

    It shows the brain, which turns; the means of ROIs beside those of the training pictures; the
    difference of two pictures; novelty; and the training pictures with the most similar pattern. It
    is bound to 127.0.0.1, and its address has a token. Ctrl-C ends it.

    Parameters
    ----------
    data : Path
        The challenge's directory, with the training pictures.
    out : Path
        The output folder, which holds `fits`.
    subject : str
        The number of the subject.
    fits : list of str, optional
        Names of fits, combined as in the submission, or a pack of `roiridge pack`. All by default.
    port : int
        The port; 0 to choose a free one.
    weights : list of str
        `SPACE=FILE` for networks whose weights are neither installed nor on a hub.
    device : str
        auto (a GPU if torch sees one), cpu, cuda, cuda:N or mps.
    ensemble : str
        The rule of the weights of several fits: average, per_roi, per_vertex or stacked.

    Raises
    ------
    PredictError
        If the port is in use, or the subject has no fits.
    """
    from challenge import Subject
    from predict.encoder import Encoder
    from predict.explorer.app import serve
    from predict.explorer.session import Session, predict_training
    from predict.outputs import load_readouts

    number = "01" if subject == "all" else subject
    options = {"weights": weights, "device": device, "ensemble": ensemble}
    (readout, *_), reader = load_readouts(out, data, {"subject": number, "fits": fits}, options)
    encoder = Encoder(readout, reader)
    # Weights are found, and models read, before the first picture waits for them.
    reader.prepare()
    readout.load()
    folder = data / f"subj{readout.subject}"
    training = predict_training(encoder, Subject(folder) if folder.is_dir() else None)
    session = Session(encoder, training)
    serve(session, port, lambda address: say(f"explorer of subject {number}: {address}"))
