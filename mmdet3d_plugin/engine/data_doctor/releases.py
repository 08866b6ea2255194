"""Where the parts of a data set come from, and where they belong (spec/data/formats section 0, waymo section 1)."""

from __future__ import annotations

NUSCENES = "the full data set v1.0 of nuScenes (nuScenes project page, Download, account needed)"
LIDARSEG = "the archive nuScenes-lidarseg (nuScenes project page, Download), unpacked over the data set"
RAY_MASK = "the ray masks published with ALOcc (its project page)"
LABELS = {
    "occ3d": "the release Occ3D-nuScenes (Occ3D project page of Tsinghua MARS Lab), its folder `gts`",
    "openocc": "the release OpenOcc v2.1 (OccNet project page of OpenDriveLab), as `openocc_v2`",
    "surroundocc": "the occupancy labels of SurroundOcc (its project page), renamed to `gts_surroundocc`",
    "openoccupancy": "the release nuScenes-Occupancy v0.1 (OpenOccupancy project page)",
    "occ3d-waymo": "the release Occ3D-Waymo as the CVT-Occ project offers it, its folder `gts`",
}
"""Release that holds an annotation, by the names of `LABEL_SETS`."""

NUSCENES_TREE = """
    data/nuscenes/
      v1.0-trainval/*.json
      samples/  sweeps/
      lidarseg/v1.0-trainval/<lidar token>_lidarseg.bin
      gts/<scene>/<token>/labels.npz
      openocc_v2/<scene>/<token>/labels.npz
      openocc_v2_ray_mask/<scene>/<token>/labels.npz
      gts_surroundocc/samples/<lidar file>.npy
      nuScenes-Occupancy-v0.1/scene_<scene token>/
        occupancy/<lidar token>.npy"""
WAYMO_TREE = """
    data/waymo/
      gts/{training,validation}/SSS/FFF_04.npz
      gts/waymo_infos_{train,val}.pkl
      gts/{cam_infos,cam_infos_vali}.pkl
      kitti_format/training/
        {image_0..4,velodyne}/PSSSFFF.*"""
