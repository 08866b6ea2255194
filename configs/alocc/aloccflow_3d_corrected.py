"""ALOccFlow-3D without the quirks that published weights were trained with."""
_base_ = ["aloccflow_3d_r50_256x704_bevdet_preatrain_16f.py"]
profile = dict(_delete_=True, name="corrected", arguments=dict())
load_from = None  # those weights expect the published order of colours
