"""Do the frames of a stream follow each other? What a temporal method takes for granted, checked at the door."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import StreamError
from .frame import Frame, FrameMeta


@dataclass(frozen=True)
class _Last:
    """What is remembered of the frame before."""

    meta: FrameMeta
    cameras: int


class StreamOrder:
    """Watches one stream of B lanes, on the CPU.

    A batch passes twice: on its way to the device of the model (`admit`), where its values are on the CPU and cost
    nothing to read, and in the model (`check`). A frame that reaches a model on a GPU by another way is checked for its
    shapes only: reading its values would make the CPU wait for the GPU.
    """

    def __init__(self) -> None:
        self._last: _Last | None = None
        self._admitted: tuple[str, ...] | None = None

    def forget(self) -> None:
        """Whatever comes next is in order."""
        self._last = None

    def admit(self, frame: Frame) -> None:
        """Check a frame that will come again as the input of the model.

        Raises:
            StreamError: see :meth:`check`.
        """
        self.check(frame)
        self._admitted = frame.meta.token

    def check(self, frame: Frame) -> None:
        """Compare a frame with its predecessor, and remember it.

        Raises:
            StreamError: the parts of the frame have different numbers of cameras; or within a running sequence the
                number of lanes or cameras changes, time does not increase, or the sequence is another one.
        """
        _check_cameras(frame)
        admitted, self._admitted = self._admitted, None
        if frame.meta.token == admitted:
            return
        if self._last is not None:
            _check_lanes(frame.meta, self._last.meta)
        if frame.meta.time.device.type == "cpu":
            if self._last is not None:
                _check_values(frame, self._last)
            self._last = _Last(frame.meta, frame.images.shape[1])


def _check_cameras(frame: Frame) -> None:
    cameras = frame.images.shape[1]
    parts = {"rig.ego_from_cam": frame.rig.ego_from_cam, "rig.pixel_from_cam": frame.rig.pixel_from_cam}
    if frame.adjacent is not None:
        parts["adjacent.images"] = frame.adjacent.images
        parts["adjacent.adjacent_from_cam"] = frame.adjacent.adjacent_from_cam
    if frame.lidar_depth is not None:
        parts["lidar_depth"] = frame.lidar_depth
    if frame.past is not None:
        parts["past.images"] = frame.past.images[:, 0]
    for name, tensor in parts.items():
        if tensor.shape[1] != cameras:
            raise StreamError(
                f"frame {', '.join(frame.meta.token)}: {name} has another number of cameras than the images",
                found=f"{name} {tuple(tensor.shape)}, images {tuple(frame.images.shape)}",
                expected="the same cameras, in the same order, in all parts of a frame",
                fix="leave a missing camera out of every part, or give it a black image",
            )


def _check_lanes(meta: FrameMeta, last: FrameMeta) -> None:
    if len(meta.token) != len(last.token):
        raise StreamError(
            f"frame {', '.join(meta.token)}: the number of lanes changed in the middle of a stream",
            found=f"{len(meta.token)} lanes after {len(last.token)}",
            fix="call reset_stream() (OccupancyPredictor: reset()) where the batch size changes",
        )


def _check_values(frame: Frame, last: _Last) -> None:
    meta = frame.meta
    running = [lane for lane, starts in enumerate(meta.starts_sequence.tolist()) if not starts]
    ids, ids_before = meta.sequence_id.tolist(), last.meta.sequence_id.tolist()
    times, times_before = meta.time.tolist(), last.meta.time.tolist()
    for lane in running:
        token, before = meta.token[lane], last.meta.token[lane]
        if frame.images.shape[1] != last.cameras:
            raise StreamError(
                f"frame {token} has another number of cameras than frame {before} before it in its sequence",
                found=f"{frame.images.shape[1]} cameras after {last.cameras}",
                expected="the cameras that the sequence started with",
                fix="give a missing camera a black image, or start a new sequence (meta.starts_sequence)",
            )
        if ids[lane] != ids_before[lane]:
            raise StreamError(
                f"frame {token} is of another sequence than frame {before} before it in lane {lane}",
                found=f"sequence_id {ids[lane]} after {ids_before[lane]}, starts_sequence False",
                expected="starts_sequence True on the first frame of a sequence",
                fix="set meta.starts_sequence where a sequence starts, or play the sequences one after the other",
            )
        if not times[lane] > times_before[lane]:
            raise StreamError(
                f"frame {token} is not later than frame {before} before it in its sequence",
                found=f"time {times[lane]:.6f} s after {times_before[lane]:.6f} s",
                expected="frames in the order of their time",
                fix="sort the frames, or start a new sequence (meta.starts_sequence)",
            )
