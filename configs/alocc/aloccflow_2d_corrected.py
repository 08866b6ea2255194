"""Flow from matches that end where the previous map ends: ALOccFlow-2D for new training."""
_base_ = ["aloccflow_2d_r50_256x704_bevdet_preatrain_16f.py"]
profile = dict(_delete_=True, name="corrected", arguments=dict())
load_from = None  # those weights expect the published order of colours
