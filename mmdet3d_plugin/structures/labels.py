"""Label spaces, and the one place where class ids meet channels of a model."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import ConfigError, closest

IGNORE = 255


@dataclass(frozen=True)
class LabelSpace:
    """Names and meaning of the integer labels of one annotation.

    Attributes:
        name: for example "Occ3D-nuScenes".
        classes: names in the order of their ids; the free class is one of them.
        palette: (r, g, b) in 0..255 for every class.
        free: id of the free class.
        dynamic: ids of the classes that count for mIoU_D.
        flow: ids of the classes that carry flow, empty where the annotation has none.
        disk_ids: ((id on disk, id here), ...) where the files use other numbers, else empty.
        noise: the first class means that nothing is known about a voxel; it is never predicted.
        ignore: label of voxels that are neither trained nor scored.
    """

    name: str
    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    free: int
    dynamic: tuple[int, ...]
    flow: tuple[int, ...] = ()
    disk_ids: tuple[tuple[int, int], ...] = ()
    noise: bool = False
    ignore: int = IGNORE

    def __post_init__(self) -> None:
        if len(self.palette) != len(self.classes):
            raise ConfigError(f"label space {self.name}: palette and classes differ in length")

    @property
    def num_classes(self) -> int:
        """Number of classes, the free class included."""
        return len(self.classes)

    @property
    def semantic(self) -> tuple[int, ...]:
        """Ids of all classes but free."""
        return tuple(i for i in range(self.num_classes) if i != self.free)

    def index(self, name: str) -> int:
        """Id of a class name."""
        if name not in self.classes:
            raise ConfigError(f"{self.name} has no class {name!r}", expected=closest(name, self.classes))
        return self.classes.index(name)


_NUSCENES_16 = (
    "barrier", "bicycle", "bus", "car", "construction_vehicle", "motorcycle", "pedestrian", "traffic_cone",
    "trailer", "truck", "driveable_surface", "other_flat", "sidewalk", "terrain", "manmade", "vegetation",
)  # fmt: skip
_COLOURS = {
    "others": (90, 90, 90), "barrier": (255, 120, 50), "bicycle": (255, 192, 203), "bus": (255, 255, 0),
    "car": (0, 150, 245), "construction_vehicle": (0, 255, 255), "motorcycle": (200, 180, 0),
    "pedestrian": (255, 0, 0), "traffic_cone": (255, 240, 150), "trailer": (135, 60, 0),
    "truck": (160, 32, 240), "driveable_surface": (255, 0, 255), "other_flat": (175, 0, 75),
    "sidewalk": (75, 0, 75), "terrain": (150, 240, 80), "manmade": (230, 230, 250),
    "vegetation": (0, 175, 0), "free": (255, 255, 255),
}  # fmt: skip
_DYNAMIC = {"bicycle", "bus", "car", "construction_vehicle", "motorcycle", "pedestrian", "trailer", "truck"}
_OPENOCC = (
    "car", "truck", "trailer", "bus", "construction_vehicle", "bicycle", "motorcycle", "pedestrian",
    "traffic_cone", "barrier", "driveable_surface", "other_flat", "sidewalk", "terrain", "manmade",
    "vegetation", "free",
)  # fmt: skip


def _space(name: str, classes: tuple[str, ...], **kwargs: object) -> LabelSpace:
    palette = tuple(_COLOURS[c] for c in classes)
    dynamic = tuple(i for i, c in enumerate(classes) if c in _DYNAMIC)
    return LabelSpace(name, classes, palette, classes.index("free"), dynamic, **kwargs)  # type: ignore[arg-type]


OCC3D_NUSCENES = _space("Occ3D-nuScenes", ("others", *_NUSCENES_16, "free"))
OPENOCC = _space("OpenOcc", _OPENOCC, flow=tuple(range(8)))
SURROUNDOCC = _space("SurroundOcc", ("others", *_NUSCENES_16, "free"), noise=True)
OPENOCCUPANCY = _space("OpenOccupancy", ("others", *_NUSCENES_16, "free"), noise=True)
OCC3D_WAYMO = LabelSpace(
    "Occ3D-Waymo",
    (
        "general_object", "vehicle", "pedestrian", "sign", "bicyclist", "traffic_light", "pole",
        "construction_cone", "bicycle", "motorcycle", "building", "vegetation", "tree_trunk", "road",
        "walkable", "free",
    ),
    (
        (90, 90, 90), (0, 150, 245), (255, 0, 0), (255, 120, 50), (255, 105, 180), (0, 255, 127),
        (112, 128, 144), (255, 240, 150), (255, 192, 203), (200, 180, 0), (230, 230, 250), (0, 175, 0),
        (139, 69, 19), (255, 0, 255), (75, 0, 75), (255, 255, 255),
    ),
    free=15,
    dynamic=(1, 2, 4, 8, 9),
    disk_ids=((23, 15),),
)  # fmt: skip
LABEL_SPACES = {s.name: s for s in (OCC3D_NUSCENES, OPENOCC, SURROUNDOCC, OPENOCCUPANCY, OCC3D_WAYMO)}


def register_label_space(space: LabelSpace) -> LabelSpace:
    """Make the label space of an own data set known under its name; returns it.

    Raises:
        ConfigError: another label space has the name.
    """
    if LABEL_SPACES.setdefault(space.name, space) != space:
        raise ConfigError(f"another label space is called {space.name!r}", fix="choose another name")
    return space


def label_space(name: str | LabelSpace) -> LabelSpace:
    """Look a label space up by its name, as configs do."""
    if isinstance(name, LabelSpace):
        return name
    if name not in LABEL_SPACES:
        raise ConfigError(f"no label space {name!r}", expected=closest(name, LABEL_SPACES))
    return LABEL_SPACES[name]


@dataclass(frozen=True)
class ClassChannels:
    """Which channel of a model stands for which label. The only code that shifts class ids.

    Published models number classes from 1 and keep channel 0 as a "void" class that never occurs in a label
    (spec/00 section 1, "fix_void"); their weights have that channel. New models need none.
    """

    space: LabelSpace
    void: bool = False

    @property
    def num_channels(self) -> int:
        return self.space.num_classes + int(self.void)

    @property
    def free(self) -> int:
        """Channel of the free class."""
        return self.space.free + int(self.void)

    def from_labels(self, labels: Tensor) -> Tensor:
        """Channel of every label, int64; ignored labels stay `space.ignore`."""
        channels = labels.long()
        return torch.where(channels == self.space.ignore, channels, channels + int(self.void))

    def to_labels(self, logits: Tensor, dim: int = 1) -> Tensor:
        """Label with the highest logit along `dim`, uint8; the void channel and noise never win (spec/99 A24)."""
        first = int(self.space.noise)
        best = logits.narrow(dim, int(self.void) + first, self.space.num_classes - first).argmax(dim=dim)
        return (best + first).to(torch.uint8)
