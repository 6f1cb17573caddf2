"""Convolutions over features as a sequence, for each group of vertices, and linear readouts."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from regress.layers.network import Axes
from regress.layers.readout import check_memory, read_out, repeat_per_group
from regress.parameter_checks import check_whole
from regress.training import Network, TrainedModel

ACTIVATIONS = {"relu": torch.relu, "gelu": functional.gelu}


class Conv1d(TrainedModel):
    """Convolutions over the embedding, or over places of a grid, with a readout for each vertex.

    Over the embedding, the sequence is the columns in their arbitrary order. Over tokens, the
    sequence is the places of a picture, row by row, and filters are shared between places.

    The other parameters are those of `Training`.

    Parameters
    ----------
    channels : int
        Number of filters of each layer.
    kernel : int
        Number of columns, or places, that a filter covers.
    stride : int
        Step of the filters, by which each layer shortens the sequence.
    layers : int
        Number of convolutions, each with an activation.
    activation : str
        "relu" or "gelu".
    over : str
        The sequence: "embedding", all columns in one channel; or "tokens", the places of a grid,
        with the embedding's components as channels.
    places : int, optional
        Number of places, for tokens: columns are then (n_components, n_places), places varying
        fastest, as in feature spaces with a grid. `python -m regress` sets it.
    dropout : float
        Share of features that is left out at each step.
    lr : float
        The learning rate.

    References
    ----------
    CLIP-Conv1d of "Exploration and comparison of deep learning architectures to predict brain
    response to realistic pictures" (Riccardo Chimisso et al., 2023, arXiv:2309.09983).
    """

    channels: int = 8
    kernel: int = 5
    stride: int = 2
    layers: int = 2
    activation: str = "relu"
    over: str = "embedding"
    places: int | None = None
    dropout: float = 0.3
    lr: float = 3e-4

    limits: ClassVar = dict.fromkeys(("channels", "kernel", "stride", "layers"), 1)
    choices: ClassVar = {"activation": tuple(ACTIVATIONS), "over": ("embedding", "tokens")}

    @override
    def make_network(self, n_features: int, member: Tensor) -> Network:
        shape = self._shape(n_features)
        lengths = [shape[1]]
        for _ in range(self.layers):
            lengths.append((lengths[-1] + 2 * (self.kernel // 2) - self.kernel) // self.stride + 1)
        n_inputs = shape[0] + (self.layers - 1) * self.channels
        weights = self.channels * (n_inputs * self.kernel + self.layers)
        values = 2 * self.batch * self.channels * sum(lengths[1:])
        check_memory(int(member.max()) + 1, weights, values)
        filters = self.layers, self.channels, self.kernel, self.stride
        return Conv1dNetwork(shape, member, filters, lengths[-1], self.activation, self.dropout)

    def _shape(self, n_features: int) -> tuple[int, int]:
        """Return channels and length of the sequence that the columns represent."""
        if self.over == "embedding":
            return 1, n_features
        if self.places is None:
            raise ValueError(
                "places: found None, expected how many places each picture has, since over='tokens'"
            )
        check_whole({"places": self.places}, {"places": 1})
        if n_features % self.places:
            raise ValueError(
                f"places: found {self.places}, expected a divisor of the {n_features} columns, "
                "which are components x places"
            )
        return n_features // self.places, self.places


class Conv1dNetwork(Network):
    """Convolutions for each group, and a readout for each vertex.

    All groups are computed together: the first layer reads the features, which groups share; the
    further layers are grouped convolutions.

    Attributes
    ----------
    first : Tensor (n_groups, channels, shape[0], kernel)
        Filters of the first layer.
    further : Tensor (n_groups, layers - 1, channels, channels, kernel)
        Filters of the other layers.
    first_bias, further_bias : Tensor (n_groups, channels), (n_groups, layers - 1, channels)
        Biases of the layers.
    readout : Tensor (channels * length, n_vertices)
        Weights of the readouts; 0 at first, so that the mean response is predicted.
    bias : Tensor (n_vertices,)
        Bias that removes the mean of the rectified filters from predictions.
    """

    axes: ClassVar[Axes] = {
        **Network.axes,
        "readout": ("vertex", 1),
        "bias": ("vertex", 0),
        **dict.fromkeys(("first", "first_bias", "further", "further_bias"), ("group", 0)),
    }

    def __init__(
        self,
        shape: tuple[int, int],
        member: Tensor,
        filters: tuple[int, int, int, int],
        length: int,
        activation: str,
        dropout: float,
    ) -> None:
        super().__init__(member)
        n_groups, (layers, channels, kernel, self.stride) = self.n_groups, filters
        self.shape, self.activation = shape, ACTIVATIONS[activation]
        self.dropout = nn.Dropout(dropout)
        # Rectified, the sequence keeps its variance: He, Zhang, Ren, Sun (2015). Delving deep into
        # rectifiers. ICCV, equation 10.
        first = torch.randn(channels, shape[0], kernel) * (2 / (shape[0] * kernel)) ** 0.5
        self.first = repeat_per_group(first, n_groups)
        self.first_bias = repeat_per_group(torch.zeros(channels), n_groups)
        self.further_layers = layers - 1
        if layers > 1:
            initial = torch.randn(layers - 1, channels, channels, kernel)
            self.further = repeat_per_group(initial * (2 / (channels * kernel)) ** 0.5, n_groups)
            self.further_bias = repeat_per_group(torch.zeros(layers - 1, channels), n_groups)
        self.readout = nn.Parameter(torch.zeros(channels * length, len(member)))
        self.bias = nn.Parameter(torch.zeros(len(member)))

    def forward(self, features: Tensor) -> Tensor:
        """Predict responses (n_images, n_vertices) from standardised features."""
        sequence = self.dropout(features).reshape(-1, *self.shape)
        # The groups' channels side by side: (n_images, n_groups * channels, length).
        sequence = self._layer(sequence, self.first, self.first_bias, groups=1)
        n_groups = len(self.first)
        if self.further_layers:
            pairs = zip(self.further.unbind(1), self.further_bias.unbind(1), strict=True)
            for weight, bias in pairs:
                sequence = self._layer(sequence, weight, bias, groups=n_groups)
        hidden = sequence.reshape(len(sequence), n_groups, -1).transpose(0, 1)
        return read_out(hidden, self.readout, self.bias + self.offset, self.member)

    def _layer(self, sequence: Tensor, weight: Tensor, bias: Tensor, groups: int) -> Tensor:
        outputs = functional.conv1d(
            sequence,
            weight.flatten(0, 1),
            bias.flatten(),
            self.stride,
            weight.shape[-1] // 2,
            groups=groups,
        )
        return self.activation(outputs)
