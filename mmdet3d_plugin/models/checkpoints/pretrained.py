"""Starting a training from a pretrained image backbone: a network is filled in part, and a report says with what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from ...errors import CheckpointError
from .key_map import Conversion, KeyTable, abbreviated
from .load import load_checkpoint
from .read import read_checkpoint
from .tables import TABLES
from .tables.backbones import OFFICIAL_SWIN
from .tables.common import IMAGE_ENCODER

SOURCES = {  # file that a shipped config starts from -> where to get it
    "bevdet-r50-4d-stereo-cbgs.pth": "the model zoo of BEVDet (github.com/HuangJunJie2017/BEVDet), "
    "BEVDet-R50-4D-Stereo-CBGS",
    "geomim_swin_base.pth": "the weights of GeoMIM (Liu et al. 2023, github.com/Sense-X/GeoMIM), Swin-B",
    "flash_intern_image_t_1k_224.pth": "the weights of DCNv4 (Xiong et al. 2024, github.com/OpenGVLab/DCNv4), "
    "FlashInternImage-T, ImageNet-1K",
}
_PUBLISHED = KeyTable("an image encoder", "img_backbone.", IMAGE_ENCODER)
_OFFICIAL_SWIN = KeyTable("Swin Transformer", "patch_embed.proj.", OFFICIAL_SWIN)
_NETWORK, _ENCODER, _BACKBONE = "network.", "image_encoder.", "image_encoder.backbone."
_DETECTOR = "backbone."  # what mmdetection and its kin put before the keys of a backbone
_ELSEWHERE = "not part of an image encoder of ours"


@dataclass(frozen=True)
class PretrainedReport:
    """What a file with a backbone gave to a network. Names are those of the network but for `dropped`.

    Attributes:
        source: the file.
        taken: tensors that were filled.
        dropped: keys of the file that were not used, by reason.
        mismatched: tensors that have another shape in the file, with both shapes; they stay random.
        random: parameters and running statistics that nothing filled, `mismatched` ones among them.
    """

    source: str
    taken: tuple[str, ...]
    dropped: Mapping[str, tuple[str, ...]]
    mismatched: tuple[str, ...]
    random: tuple[str, ...]

    @property
    def is_complete(self) -> bool:
        """Whether the whole backbone was filled."""
        return not any(name.startswith(_BACKBONE) for name in self.random)

    def __str__(self) -> str:
        left = [name for name in self.random if name.startswith(_ENCODER)]
        lines = [
            f"weights from {self.source}",
            f"  taken:    {_counted(self.taken, 2)}",
            *(f"  dropped:  {_counted(keys, 1)}: {reason}" for reason, keys in self.dropped.items()),
            f"  random:   {_counted(self.random, 1)}",
        ]
        if self.mismatched:
            lines.append(f"  another shape in the file: {abbreviated(self.mismatched)}")
        if left:
            lines.append(f"  random in the image encoder: {abbreviated(left)}")
        return "\n".join(lines)


def require_source(path: str | Path) -> None:
    """Refuse to start a training from a file that is not there.

    Raises:
        CheckpointError: says where to get a file that shipped configs name, and how to do without.
    """
    path = Path(path)
    if path.exists():
        return
    source = SOURCES.get(path.name)
    get = f"put the file there, it is in {source}" if source else "give the path of a checkpoint"
    raise CheckpointError(
        f"load_from names {path}, which does not exist",
        fix=f"{get}; or start from random weights with --cfg-options load_from=None",
    )


def start_from(model: nn.Module, path: str | Path) -> PretrainedReport | None:
    """Fill a model before training, in place: wholly from a checkpoint of its kind, else its image encoder.

    A file of our own or of a published model is loaded strictly. Anything else is searched for a backbone: a model
    of BEVDet's kind (`img_backbone.`, `img_neck.`), a detector of mmdetection's kind (`backbone.`), or the backbone
    alone as torchvision, mmdetection, or the authors of Swin and InternImage name its parameters.

    Args:
        model: holds a network with an `image_encoder` as `network`.
        path: see :func:`~.read.read_checkpoint`.

    Returns:
        what was taken and what was not; None where the whole model was filled.

    Raises:
        CheckpointError: the file cannot be read, belongs to another model, or holds nothing for the backbone.
    """
    state, _ = read_checkpoint(Path(path))
    own = model.state_dict().keys()
    ours = any(key in own or key.startswith((_NETWORK, _ENCODER)) for key in state)
    if ours or any(table.recognises(state) for table in TABLES):
        load_checkpoint(model, path)
        return None
    return load_pretrained(model.get_submodule("network"), state, str(path))


def load_pretrained(network: nn.Module, state: Mapping[str, Tensor], source: str) -> PretrainedReport:
    """Fill the image encoder of a network, in place, with what of a state dict has its names and shapes.

    Args:
        network: holds an `image_encoder`.
        state: tensors under names of any of the kinds that :func:`start_from` lists.
        source: how messages call the state dict.

    Raises:
        CheckpointError: it holds nothing for the backbone, or two tensors for the same place.
    """
    conversion = _as_ours(state)
    if conversion.problems:
        raise CheckpointError(f"{source} holds tensors twice", found="; ".join(conversion.problems))
    own, taken, mismatched = network.state_dict(), {}, []
    dropped = {reason: tuple(keys) for reason, keys in conversion.dropped.items()}
    spare = list(conversion.unknown)
    for name, tensor in conversion.state.items():
        if name not in own:
            spare.append(conversion.origin[name])
        elif own[name].shape != tensor.shape:
            mismatched.append(f"{name}: {tuple(tensor.shape)}, model {tuple(own[name].shape)}")
        else:
            taken[name] = tensor
    if spare:
        dropped[_ELSEWHERE] = tuple(spare)
    if not any(name.startswith(_BACKBONE) for name in taken):
        backbone = type(network.get_submodule(_BACKBONE.rstrip("."))).__name__
        raise CheckpointError(
            f"{source} holds nothing for the backbone, {backbone}",
            found=abbreviated(mismatched or state),
            expected="the backbone alone, or a model with `img_backbone.` or `backbone.` before its keys",
            fix="load_from a file with weights of this backbone, or --cfg-options load_from=None",
        )
    network.load_state_dict(taken, strict=False)
    random = tuple(name for name, tensor in own.items() if tensor.is_floating_point() and name not in taken)
    return PretrainedReport(source, tuple(taken), dropped, tuple(mismatched), random)


def _as_ours(state: Mapping[str, Tensor]) -> Conversion:
    """The part of a state dict that belongs to an image encoder, under our names."""
    if _PUBLISHED.recognises(state):
        return _PUBLISHED.match(state)
    alone = {key.removeprefix(_DETECTOR): key for key in state if key.startswith(_DETECTOR)}
    alone = alone or {key: key for key in state}
    if _OFFICIAL_SWIN.recognises(alone):
        table, names = _OFFICIAL_SWIN, alone
    else:
        table, names = _PUBLISHED, {f"img_backbone.{name}": key for name, key in alone.items()}
    conversion = table.match({name: state[key] for name, key in names.items()})
    used = set(names.values())
    return Conversion(
        state=conversion.state,
        origin={ours: names[name] for ours, name in conversion.origin.items()},
        dropped={reason: [names[name] for name in keys] for reason, keys in conversion.dropped.items()},
        unknown=[names[name] for name in conversion.unknown] + [key for key in state if key not in used],
        problems=conversion.problems,
    )


def _counted(names: Iterable[str], depth: int) -> str:
    """How many names there are, and how many below each of their first `depth` parts."""
    counts = Counter(".".join(name.split(".")[:depth]) for name in names)
    parts = ", ".join(f"{prefix} {count}" for prefix, count in counts.items())
    return f"{sum(counts.values())} tensors" + (f" ({parts})" if parts else "")
