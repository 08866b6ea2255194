"""The JSON tables of nuScenes v1.0, made of the records of the key frames."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from .catalog import ATTRIBUTES, LIDARSEG_NAMES, VISIBILITIES, token
from .files import write_atomic, write_json
from .keyframe import lidarseg_file, log_name, sample_token, scene_token
from .sensors import CAMERAS, LIDAR_CHANNEL, Rig, quaternion

Record = dict[str, Any]
LOCATION = "synthetic-town"
CHANNELS = (*CAMERAS, LIDAR_CHANNEL)


def write_tables(root: Path, version: str, seed: int, rigs: dict[str, Rig], frames: dict[str, list[Record]]) -> None:
    """Write all tables of a version, and the map that the devkit asks for.

    Args:
        root: folder of the data set.
        version: name of the table folder.
        seed: of the data set.
        rigs: calibration of every scene.
        frames: records of the key frames of every scene, in order.
    """
    tables: dict[str, list[Record]] = defaultdict(list)
    _add_constants(tables, list(frames))
    for scene, records in frames.items():
        _add_scene(tables, seed, scene, records)
        _add_rig(tables, seed, scene, rigs[scene])
        _add_sensor_data(tables, version, seed, scene, records)
        _add_annotations(tables, seed, scene, records)
    for name, table in tables.items():
        write_json(root / version / f"{name}.json", table, indent=0)
    (picture,) = {m["filename"] for m in tables["map"]}
    write_atomic(root / picture, lambda file: Image.new("L", (64, 64)).save(file, "PNG"))


def _add_constants(tables: dict[str, list[Record]], scenes: list[str]) -> None:
    tables["category"] = [
        {"token": token("category", name), "name": name, "description": "", "index": index}
        for index, name in enumerate(LIDARSEG_NAMES)
    ]
    tables["attribute"] = [{"token": token("attribute", n), "name": n, "description": d} for n, d in ATTRIBUTES]
    tables["visibility"] = [
        {"token": t, "level": level, "description": f"visibility of whole object is between {low:.0%} and {high:.0%}"}
        for t, level, low, high in VISIBILITIES
    ]
    tables["sensor"] = [
        {"token": token("sensor", c), "channel": c, "modality": "lidar" if c == LIDAR_CHANNEL else "camera"}
        for c in CHANNELS
    ]
    tables["log"] = [
        {
            "token": token("log", scene),
            "logfile": log_name(scene),
            "vehicle": "synthetic-car",
            "date_captured": "2017-07-14",
            "location": LOCATION,
        }
        for scene in scenes
    ]
    name = token("map", LOCATION)
    logs = [log["token"] for log in tables["log"]]
    tables["map"] = [{"token": name, "category": "semantic_prior", "filename": f"maps/{name}.png", "log_tokens": logs}]


def _links(tokens: list[str]) -> Iterable[tuple[str, str]]:
    """(previous, next) of every element of a chain."""
    return zip(["", *tokens[:-1]], [*tokens[1:], ""])


def _add_scene(tables: dict[str, list[Record]], seed: int, scene: str, records: list[Record]) -> None:
    tokens = [sample_token(seed, scene, r["index"]) for r in records]
    tables["scene"].append(
        {
            "token": scene_token(seed, scene),
            "log_token": token("log", scene),
            "nbr_samples": len(tokens),
            "first_sample_token": tokens[0],
            "last_sample_token": tokens[-1],
            "name": scene,
            "description": "synthetic: a generated world, not a recording",
        }
    )
    for record, own, (before, after) in zip(records, tokens, _links(tokens)):
        tables["sample"].append(
            {
                "token": own,
                "timestamp": record["timestamp"],
                "prev": before,
                "next": after,
                "scene_token": scene_token(seed, scene),
            }
        )


def _add_rig(tables: dict[str, list[Record]], seed: int, scene: str, rig: Rig) -> None:
    poses = {c.channel: (c.ego_from_cam, c.intrinsics.tolist()) for c in rig.cameras}
    poses[LIDAR_CHANNEL] = (rig.ego_from_lidar, [])
    for channel in CHANNELS:
        pose, intrinsics = poses[channel]
        tables["calibrated_sensor"].append(
            {
                "token": token(seed, scene, "calibrated_sensor", channel),
                "sensor_token": token("sensor", channel),
                "translation": pose[:3, 3].tolist(),
                "rotation": quaternion(pose[:3, :3]),
                "camera_intrinsic": intrinsics,
            }
        )


def _add_sensor_data(
    tables: dict[str, list[Record]], version: str, seed: int, scene: str, records: list[Record]
) -> None:
    for position, channel in enumerate(CHANNELS):
        # Sweeps belong to the key frame that follows them, and lie before it in the chain.
        entries = [
            (record, entry, entry is record["data"][position])
            for record in records
            for entry in (*record.get("sweeps", {}).get(channel, ()), record["data"][position])
        ]
        chain = _links([entry["token"] for _, entry, _ in entries])
        for (record, entry, is_key_frame), (before, after) in zip(entries, chain):
            tables["ego_pose"].append({key: entry[key] for key in ("token", "timestamp", "rotation", "translation")})
            tables["sample_data"].append(
                {
                    "token": entry["token"],
                    "sample_token": sample_token(seed, scene, record["index"]),
                    "ego_pose_token": entry["token"],
                    "calibrated_sensor_token": token(seed, scene, "calibrated_sensor", channel),
                    "timestamp": entry["timestamp"],
                    "fileformat": "pcd" if channel == LIDAR_CHANNEL else "jpg",
                    "is_key_frame": is_key_frame,
                    "height": entry["height"],
                    "width": entry["width"],
                    "filename": entry["filename"],
                    "prev": before,
                    "next": after,
                }
            )
            if channel == LIDAR_CHANNEL and is_key_frame:
                file = lidarseg_file(version, entry["token"])
                tables["lidarseg"].append(
                    {"token": entry["token"], "sample_data_token": entry["token"], "filename": file}
                )


def _add_annotations(tables: dict[str, list[Record]], seed: int, scene: str, records: list[Record]) -> None:
    sightings: dict[int, list[tuple[int, Record]]] = defaultdict(list)
    for record in records:
        for annotation in record["annotations"]:
            sightings[annotation["instance"]].append((record["index"], annotation))
    for number in sorted(sightings):
        chain = sightings[number]
        tokens = [token(seed, scene, "annotation", number, index) for index, _ in chain]
        tables["instance"].append(
            {
                "token": token(seed, scene, "instance", number),
                "category_token": token("category", LIDARSEG_NAMES[chain[0][1]["category"]]),
                "nbr_annotations": len(chain),
                "first_annotation_token": tokens[0],
                "last_annotation_token": tokens[-1],
            }
        )
        for (index, annotation), own, (before, after) in zip(chain, tokens, _links(tokens)):
            attribute = annotation["attribute"]
            tables["sample_annotation"].append(
                {
                    "token": own,
                    "sample_token": sample_token(seed, scene, index),
                    "instance_token": token(seed, scene, "instance", number),
                    "visibility_token": annotation["visibility"],
                    "attribute_tokens": [token("attribute", attribute)] if attribute else [],
                    "translation": annotation["translation"],
                    "size": annotation["size"],
                    "rotation": annotation["rotation"],
                    "prev": before,
                    "next": after,
                    "num_lidar_pts": annotation["num_lidar_pts"],
                    "num_radar_pts": 0,
                }
            )


def read_record(path: Path) -> Record:
    """Record of a finished key frame."""
    return json.loads(path.read_text())
