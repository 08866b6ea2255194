_base_ = "alocc_3d_r50_256x704_bevdet_preatrain_16f_wo_mask.py"
