"""`python -m predict explore`: a local page that shows what a picture does to the brain."""

from base import convert_paths, say
from base.command_line.calls import spread_options
from predict.choice import EncoderChoice


@convert_paths
@spread_options
def explore(
    encoders: EncoderChoice,
    port: int = 0,
) -> None:
    """Serve a page on this machine: drop pictures, and see the predicted responses.

    It shows the brain, which turns; the means of ROIs beside those of the training pictures; the
    difference of two pictures; novelty; and the training pictures with the most similar pattern. It
    is bound to 127.0.0.1, and its address has a token. Of several subjects, the first is shown.
    Ctrl-C ends it.

    Parameters
    ----------
    encoders : EncoderChoice
        Whose fits predict, and where.
    port : int
        The port; 0 to choose a free one.

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

    readouts, reader = load_readouts(encoders)
    readout = readouts[0]
    encoder = Encoder(readout, reader)
    # Weights are found, and models read, before the first picture waits for them.
    reader.prepare()
    readout.load()
    folder = encoders.data / f"subj{readout.subject}"
    training = predict_training(encoder, Subject(folder) if folder.is_dir() else None)
    session = Session(encoder, training)
    serve(session, port, lambda address: say(f"explorer of subject {readout.subject}: {address}"))
